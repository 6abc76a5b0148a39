/** Where the page is among the jobs: `#/jobs`, `#/jobs/ID`, and its files `#/jobs/ID/files`, `#/jobs/ID/files/FOLDER`. Pure. */

const JOBS = /^#\/jobs\/([^/?]+)(\/files(?:\/(.*))?)?$/;

/** @typedef {{id: string|null, files: boolean, path: string}} JobRoute without an id the address is that of the list */

/** @returns {JobRoute} */
export function readJobRoute(hash) {
  const [, id, files, path] = JOBS.exec(hash) ?? [];
  return { id: decode(id) ?? null, files: files !== undefined, path: decode(path) ?? "" };
}

/** The address of the list, or of a job's output. */
export function jobAddress(id = null) {
  return id === null ? "#/jobs" : `#/jobs/${encodeURIComponent(id)}`;
}

/** The address of a folder of a job's files. */
export function jobFilesAddress(id, path = "") {
  const parts = path === "" ? [] : path.split("/").map(encodeURIComponent);
  return [jobAddress(id), "files", ...parts].join("/");
}

function decode(text) {
  try {
    return text === undefined ? undefined : decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

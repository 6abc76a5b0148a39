/** Files that the browser is to keep. */

/** Saves a reply of the gateway as a file, under the name that it gives, else *name*. */
export async function saveReply(response, name = "conversation") {
  const given = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "")?.[1];
  saveBlob(await response.blob(), given ?? name);
}

export function saveBlob(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

/** What may go along with a message, and how a file becomes that. The gateway judges in the end. Pure but for `readFile`. */

import { CHAT } from "./words/chat.js";

export const MOST = 8;
const MOST_BYTES = 10 << 20;
const PICTURE = /^image\/(?:png|jpeg|gif|webp)$/;
const TEXT = /^text\/|^application\/(?:[\w.-]+\+)?(?:json|xml|yaml|toml|x-ndjson|javascript|x-sh|sql)$/;

/** @typedef {{name: string, media_type: string, size: number, data?: string, blob?: Blob}} Attached */

/** Whether a model looks at it. */
export function isPicture({ media_type: type }) {
  return PICTURE.test(type);
}

/** Of a file of which only the name is known. @returns {Attached} */
export function namedFile(name) {
  const picture = /\.(png|jpe?g|gif|webp)$/i.exec(name)?.[1].toLowerCase().replace("jpg", "jpeg");
  return { name, media_type: picture ? `image/${picture}` : "text/plain", size: 0 };
}

/** Why it can't go along; empty: it can. @param {{name: string, type: string, size: number}} file */
export function refusal({ name, type, size }, count) {
  if (count >= MOST) return CHAT.mostFiles(MOST);
  if (size === 0) return CHAT.emptyFile(name);
  if (size > MOST_BYTES) return CHAT.tooLarge(name);
  if (type !== "" && !PICTURE.test(type) && !TEXT.test(type)) return CHAT.unfit(name);
  return "";
}

/** @param {File} file @returns {Promise<Attached>} */
export async function readFile(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let binary = "";
  for (let at = 0; at < bytes.length; at += 32768) binary += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return { name: file.name || "picture.png", media_type: file.type || "text/plain", size: file.size, data: btoa(binary), blob: file };
}

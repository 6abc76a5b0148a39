/** Sizes of files in the words that people read. Pure. */

/** "812 bytes", "1.4 MB" */
export function sizeText(bytes) {
  if (bytes < 1000) return bytes === 1 ? "1 byte" : `${bytes} bytes`;
  if (bytes < 999950) return `${(bytes / 1000).toFixed(1)} kB`;
  return bytes < 999950000 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

// The path in a text that was dragged: a file's address, or a path as Linux, macOS or Windows write it.

/** The first line of the text if it is a path, else "". A line that begins with # is a comment in a list of addresses. */
export function pathIn(text: string): string {
  const line = text.split(/\r?\n/).find((each) => each && !each.startsWith("#")) ?? "";
  if (line.startsWith("file://")) return decodeURIComponent(line.slice(7)).replace(/^\/([A-Za-z]:)/, "$1");
  return /^(\/|~|[A-Za-z]:[\\/]|\\\\)/.test(line.trim()) ? line.trim() : "";
}

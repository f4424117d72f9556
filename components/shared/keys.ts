// Names of keys, and the rows of the help sheet for the keys that a page defines.

const MEANINGS: Record<string, string> = {
  label: "label with one of the recent names",
  reject: "set aside",
  merge: "merge with the suggested twin",
  search: "search",
  undo: "undo your last step here; asks first where another window or a terminal made the last one",
  redo: "redo",
  neighbours: "neighbours of the image",
  show_on_map: "show on the map",
  more_like: "more like these",
  less_like: "less like these",
};

/** "Ctrl+Shift+z" for an event; Shift is only named with letters, so "/" stays "/" on every keyboard. */
export function nameOf(event: KeyboardEvent): string {
  const letter = /^[a-z]$/i.test(event.key);
  const parts: string[] = [];
  if (event.ctrlKey || event.metaKey) parts.push("Ctrl");
  if (event.altKey) parts.push("Alt");
  if (event.shiftKey && (letter || event.key.length > 1)) parts.push("Shift");
  parts.push(letter ? event.key.toLowerCase() : event.key);
  return parts.join("+");
}

/** Rows for the help sheet; the digits share one. */
export function pageKeys(keys: Record<string, string>): [string, string][] {
  const rows: [string, string][] = [];
  const digits = Object.keys(keys).filter((key) => /^\d$/.test(key) && keys[key] === "label");
  if (digits.length) rows.push([`${digits[0]} to ${digits.at(-1)}`, MEANINGS.label!]);
  for (const [key, action] of Object.entries(keys)) {
    if (digits.includes(key)) continue;
    const shown = key.split("+").map((part) => (part.length === 1 ? part.toUpperCase() : part));
    rows.push([shown.join(" + "), MEANINGS[action] ?? action.replaceAll("_", " ")]);
  }
  return rows;
}

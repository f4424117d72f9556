// The keyboard: moving, selecting, opening, and the keys that are passed on to the page.

export const HELP = [
  ["Arrows, Home, End, Page up / down", "move"],
  ["Space", "select or deselect"],
  ["Shift + arrows, Shift + click", "select a range"],
  ["Ctrl + click", "add or take away one"],
  ["Drag", "select what the rectangle touches"],
  ["Ctrl + A", "select all"],
  ["Esc", "deselect all"],
  ["Enter, double click", "open full screen"],
  ["?", "this list"],
];

const MEANINGS = {
  label: "label with one of the recent names",
  reject: "reject",
  merge: "merge with the suggested twin",
  search: "search",
  undo: "undo",
  redo: "redo",
  neighbours: "neighbours of the image",
  show_on_map: "show on the map",
};

/** Rows for the help sheet: the gallery's own keys, then those of the page, digits in one row. */
export function helpRows(keys) {
  const rows = [...HELP];
  const digits = Object.keys(keys).filter((key) => /^\d$/.test(key) && keys[key] === "label");
  if (digits.length) rows.push([`${digits[0]} to ${digits.at(-1)}`, MEANINGS.label]);
  for (const [key, action] of Object.entries(keys)) {
    if (digits.includes(key)) continue;
    rows.push([key.replaceAll("+", " + ").replace(/\b[a-z]$/, (c) => c.toUpperCase()), MEANINGS[action] ?? action.replaceAll("_", " ")]);
  }
  return rows;
}

/** "Ctrl+Shift+z" for an event; Shift is only named with letters, "/" stays "/" on every keyboard. */
export function nameOf(event) {
  const letter = /^[a-z]$/i.test(event.key);
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push("Ctrl");
  if (event.altKey) parts.push("Alt");
  if (event.shiftKey && (letter || event.key.length > 1)) parts.push("Shift");
  parts.push(letter ? event.key.toLowerCase() : event.key);
  return parts.join("+");
}

export function keyboard(g) {
  const move = { ArrowLeft: -1, ArrowRight: 1 };
  const own = {
    " ": () => g.pick(g.focus, { toggle: true }),
    Enter: () => g.viewer.open(g.focus),
    Escape: () => g.deselect(),
    "Ctrl+a": () => g.selectAll(),
    "?": () => g.showHelp(),
  };
  g.list.addEventListener("keydown", (event) => {
    const name = nameOf(event);
    const step = steps(g, event, move);
    if (step !== null) {
      g.moveFocus(step, event.shiftKey);
    } else if (own[name]) {
      if (g.n > 0 || name === "?") own[name]();
    } else if (g.keys[name]) {
      g.act(g.keys[name], name, g.focus);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  });
}

function steps(g, event, move) {
  const { columns, pitch } = g.grid;
  const page = Math.max(1, Math.floor(g.scroll.view / pitch)) * columns;
  if (event.altKey) return null;
  switch (event.key) {
    case "ArrowLeft":
    case "ArrowRight":
      return g.focus + move[event.key];
    case "ArrowUp":
      return g.focus - columns < 0 ? g.focus : g.focus - columns;
    case "ArrowDown":
      return g.focus + columns >= g.n ? g.focus : g.focus + columns;
    case "PageUp":
      return g.focus - page;
    case "PageDown":
      return g.focus + page;
    case "Home":
      return 0;
    case "End":
      return g.n - 1;
    default:
      return null;
  }
}

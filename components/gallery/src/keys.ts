// The keyboard: moving, selecting, opening, and the keys that are passed on to the page.

import { nameOf } from "../../shared/keys";
import type { Gallery } from "./gallery";

export const HELP: [string, string][] = [
  ["Arrows, Home, End, Page up / down", "move"],
  ["Space", "select or deselect"],
  ["Shift + arrows, Shift + click", "select a range"],
  ["Ctrl + click", "add or take away one"],
  ["Drag", "select what the rectangle touches"],
  ["Ctrl + A", "select all"],
  ["Esc", "deselect all"],
  ["Enter, double click", "open full screen"],
  ["C", "names of the files"],
  ["?", "this list"],
];

/** Listen to the keys; returns the function that ends it. */
export function keyboard(g: Gallery): () => void {
  const move = { ArrowLeft: -1, ArrowRight: 1 };
  const own: Record<string, () => unknown> = {
    " ": () => g.pick(g.focus, { toggle: true }),
    Enter: () => g.viewer.open(g.focus),
    Escape: () => g.deselect(),
    "Ctrl+a": () => g.selectAll(),
    c: () => g.wantCaptions && g.setNamed(!g.named),
    "?": () => g.showHelp(),
  };
  g.list.addEventListener("keydown", (event) => {
    const name = nameOf(event);
    const step = steps(g, event, move);
    if (step !== null) {
      g.moveFocus(step, event.shiftKey);
    } else if (own[name]) {
      if (g.n > 0 || name === "?") own[name]();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  });
  const passOn = (event: KeyboardEvent) => {
    const action = g.keys[nameOf(event)];
    if (!action || event.defaultPrevented) return;
    g.act(action, nameOf(event), g.focus);
    event.preventDefault();
    event.stopPropagation();
  };
  // The page's keys work wherever the focus is in the gallery, and where nothing on the page has it.
  g.root.addEventListener("keydown", (event) => !(event.composedPath()[0] as Element).matches?.("input:not([type=range]), textarea, dialog *") && passOn(event));
  const nowhere = (event: KeyboardEvent) => event.target === document.body && !document.querySelector("[role=dialog]") && passOn(event);
  document.addEventListener("keydown", nowhere);
  return () => document.removeEventListener("keydown", nowhere);
}

function steps(g: Gallery, event: KeyboardEvent, move: { ArrowLeft: number; ArrowRight: number }): number | null {
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

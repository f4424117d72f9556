// Folds the rail to its icons. The root element says how it is (data-rail), the browser remembers what a person chose;
// without a choice narrow windows begin folded. Undo and redo by key are here too: a text field keeps its own.

import { shared } from "../../shared/store";

const KEPT = "kindred-rail";
const narrow = matchMedia("(max-width: 1100px)");
const root = document.documentElement;
const ICON = "M3 4.5h14v11H3z M7.5 4.5v11";

function chosen(): string | null {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

function show(): void {
  root.dataset.rail = chosen() ?? (narrow.matches ? "folded" : "open");
  const folded = root.dataset.rail === "folded";
  for (const button of document.querySelectorAll<HTMLButtonElement>(".k-fold")) {
    button.setAttribute("aria-expanded", String(!folded));
    button.setAttribute("aria-label", folded ? "Unfold the rail" : "Fold the rail");
    button.title = folded ? "Unfold" : "Fold";
  }
}

function turn(): void {
  const next = root.dataset.rail === "folded" ? "open" : "folded";
  try {
    localStorage.setItem(KEPT, next);
  } catch {
    // Without storage the choice lasts until the page is loaded again.
  }
  show();
  if (chosen() !== next) root.dataset.rail = next;
  dispatchEvent(new Event("resize"));
}

// A name field lets through only what does not concern the text in it.
const WRITES = 'input:not([type=checkbox],[type=radio],[type=range],[type=button]), textarea, select, [contenteditable="true"]';

function written(path: EventTarget[]): boolean {
  const parts = path as Partial<Element>[]; // the document and the window have no `matches`
  return parts.some((part) => part.matches?.(WRITES)) && !parts.some((part) => part.matches?.(".k-name_field, [data-undo=page]"));
}

function undo(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.altKey || !(event.ctrlKey || event.metaKey)) return;
  const key = event.key.toLowerCase();
  if (key !== "z" && key !== "y") return;
  if (written(event.composedPath()) || document.querySelector("dialog[open]")) return;
  const forth = key === "y" || event.shiftKey;
  const button = document.querySelector<HTMLButtonElement>(`.st-key-${forth ? "redo" : "undo"} button`);
  if (!button) return;
  event.preventDefault();
  button.click(); // a disabled one does nothing
}

if (!shared.rail) {
  shared.rail = { turn };
  narrow.addEventListener("change", show);
  addEventListener("keydown", undo);
  addEventListener("storage", show);
}

export default function ({ parentElement }: { parentElement: HTMLElement }): void {
  let button = parentElement.querySelector<HTMLButtonElement>(".k-fold");
  if (!button) {
    button = document.createElement("button");
    button.type = "button";
    button.className = "k-fold";
    const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    icon.setAttribute("viewBox", "0 0 20 20");
    icon.setAttribute("aria-hidden", "true");
    const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
    line.setAttribute("d", ICON);
    icon.append(line);
    button.append(icon);
    button.addEventListener("click", turn);
    parentElement.append(button);
  }
  show();
}

// The map's keyboard: tools, moving, zooming, clearing, and the keys that are passed on to the page.

import { nameOf } from "../../shared/keys";
import type { ScatterMap } from "./map";

export const HELP: [keys: string, meaning: string][] = [
  ["L, B, V", "lasso, box, move"],
  ["Drag with lasso or box", "select; the tool stays armed"],
  ["Shift + drag", "add to the selection"],
  ["Alt + drag", "take away from the selection"],
  ["Wheel, + and -", "zoom"],
  ["Drag with move or Space held, arrows", "move the map"],
  ["Click a point", "pin its picture"],
  ["Enter, double click", "open the pinned image"],
  ["F or 0", "fit everything"],
  ["C", "contours of density"],
  ["Esc", "clear the selection, then unpin"],
];

const ZOOM = 1.3;
const STEP = 0.2; // of the picture, per press of an arrow

export function keyboard(map: ScatterMap): void {
  map.holder.addEventListener("keydown", (event) => {
    if (event.composedPath()[0] !== map.holder) return;
    const name = nameOf(event);
    const own = actions(map)[name];
    if (own) {
      if (own() === false) return; // there was nothing to do: what stands around the map may have something
    } else if (name === " ") map.moving(true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  // The page's keys work wherever the focus is in the map.
  map.root.addEventListener("keydown", (event) => {
    const name = nameOf(event);
    const action = map.data.keys[name];
    if (!action || (event.composedPath()[0] as Partial<Element>).matches?.("dialog *")) return;
    map.act(action, name);
    event.preventDefault();
    event.stopPropagation();
  });
  map.holder.addEventListener("keyup", (event) => event.key === " " && map.moving(false));
  map.holder.addEventListener("blur", () => map.held && map.moving(false));
}

/** What each key does; one that answers false had nothing to do. */
function actions(map: ScatterMap): Record<string, () => unknown> {
  const { plot, pictures } = map;
  const look = (zoom: number, right: number, up: number) => {
    const [x, y] = plot.toUnit(map.holder.clientWidth / 2, map.holder.clientHeight / 2);
    const step = STEP / plot.zoom;
    plot.setView(plot.zoom * zoom, x + right * step, y + up * step);
  };
  return {
    l: () => map.setTool("lasso"),
    b: () => map.setTool("box"),
    v: () => map.setTool("pan"),
    c: () => map.setContours(),
    f: () => plot.fit(),
    0: () => plot.fit(),
    "+": () => look(ZOOM, 0, 0),
    "=": () => look(ZOOM, 0, 0),
    "-": () => look(1 / ZOOM, 0, 0),
    ArrowLeft: () => look(1, -1, 0),
    ArrowRight: () => look(1, 1, 0),
    ArrowUp: () => look(1, 0, 1),
    ArrowDown: () => look(1, 0, -1),
    Escape: () => map.clear(),
    Enter: () => pictures.pinned >= 0 && map.open(pictures.pinned),
    "?": () => map.showHelp(),
  };
}

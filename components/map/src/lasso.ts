// Drawing shapes: lasso and box stay armed after each use; Shift adds, Alt takes away. Shapes live in data coordinates.

import { h } from "../../shared/dom";
import type { RegionItem } from "../../workbench/src/protocol";
import type { Point, Tool } from "./types";

const MIN_STEP = 3; // px between corners of a lasso
const CLICK = 5; // px; a shorter movement is a click
const MAX_CORNERS = 600;
const SVG = "http://www.w3.org/2000/svg";

type Operation = RegionItem["op"];

/** What the shapes ask of the map around them, and tell it. */
interface Around {
  tool(): Tool;
  toData(point: Point): Point;
  toScreen(point: Point): Point;
  ondone(): void;
  onclick(at: Point): void;
}

export class Shapes {
  regions: RegionItem[] = [];
  path: Point[] | null = null; // while one is drawn
  private start: Point | null = null;
  private operation: Operation = "new";
  private readonly svg = document.createElementNS(SVG, "svg");

  constructor(
    private readonly holder: HTMLElement,
    private readonly around: Around,
  ) {
    this.svg.setAttribute("class", "shapes");
    this.svg.setAttribute("aria-hidden", "true");
    holder.append(this.svg);
    // Capturing keeps the camera of the map below still while a tool is armed; the wheel still zooms.
    holder.addEventListener("pointerdown", (event) => this.down(event), true);
    holder.addEventListener("mousedown", (event) => this.armed && event.button === 0 && this.onCanvas(event) && event.stopPropagation(), true);
    holder.addEventListener("pointermove", (event) => this.move(event));
    holder.addEventListener("pointerup", (event) => this.up(event));
    holder.addEventListener("pointercancel", () => this.drop());
  }

  private get armed(): boolean {
    return this.around.tool() !== "pan";
  }

  onCanvas(event: MouseEvent): boolean {
    return (event.composedPath()[0] as Partial<Element> | undefined)?.tagName === "CANVAS";
  }

  at(event: MouseEvent): Point {
    const box = this.holder.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  private down(event: PointerEvent): void {
    if (event.button !== 0 || !this.onCanvas(event)) return;
    this.start = this.at(event);
    this.holder.focus({ preventScroll: true });
    if (!this.armed) return;
    this.path = [this.start];
    this.operation = event.shiftKey ? "add" : event.altKey ? "remove" : "new";
    this.holder.setPointerCapture(event.pointerId);
  }

  private move(event: PointerEvent): void {
    if (!this.path) return;
    const now = this.at(event);
    if (this.around.tool() === "box") {
      const [[x0, y0], [x1, y1]] = [this.path[0]!, now];
      this.path = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
    } else {
      const last = this.path.at(-1)!;
      if (Math.hypot(now[0] - last[0], now[1] - last[1]) >= MIN_STEP) this.path.push(now);
    }
    this.draw();
  }

  private up(event: PointerEvent): void {
    const { start, path } = this;
    this.start = null;
    this.path = null;
    if (!start) return;
    const now = this.at(event);
    const moved = path ? extent(path) : Math.hypot(now[0] - start[0], now[1] - start[1]);
    if (moved < CLICK) {
      this.draw();
      this.around.onclick(start);
      return;
    }
    const nothing = this.operation === "remove" && this.regions.length === 0;
    if (!path || path.length < 3 || nothing) {
      this.draw();
      return;
    }
    const polygon = thinned(path).map((corner) => this.around.toData(corner));
    this.regions = joined(this.regions, { kind: this.around.tool(), op: this.operation, polygon: polygon.flat() });
    this.draw();
    this.around.ondone();
  }

  drop(): void {
    this.path = null;
    this.start = null;
    this.draw();
  }

  clear(): void {
    this.regions = [];
    this.path = null;
    this.draw();
  }

  /** Redraw after every change of the view. */
  draw(): void {
    const paths = this.regions.map((region) => {
      const corners: Point[] = [];
      for (let i = 0; i < region.polygon.length; i += 2) corners.push(this.around.toScreen([region.polygon[i]!, region.polygon[i + 1]!]));
      return outline(corners, region.op);
    });
    for (const path of paths) path.classList.add("done");
    if (this.path && this.path.length > 1) paths.push(outline(this.path, this.operation, true));
    this.svg.replaceChildren(...paths);
  }
}

/** Every k-th corner of a path, the first among them, so that there are at most `most`. */
export function thinned(path: readonly Point[], most: number = MAX_CORNERS): Point[] {
  const every = Math.ceil(path.length / most);
  return path.filter((_, i) => i % every === 0);
}

/** The regions once another was drawn: a new one takes the place of all, and the first of a list is always new. */
export function joined(regions: readonly RegionItem[], region: RegionItem): RegionItem[] {
  return region.op === "new" || regions.length === 0 ? [{ ...region, op: "new" }] : [...regions, region];
}

/** The longer side of the box around a path. */
export function extent(path: readonly Point[]): number {
  const xs = path.map(([x]) => x);
  const ys = path.map(([, y]) => y);
  return Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys));
}

function outline(corners: readonly Point[], operation: Operation, open = false): SVGPathElement {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", `M${corners.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}Z`);
  path.setAttribute("class", `shape ${operation}${open ? " drawing" : ""}`);
  return path;
}

/** A frame on a point; used for the pinned and the focused one. */
export function ring(kind: string): HTMLElement {
  return h("span", { class: `ring ${kind} k-hidden`, "aria-hidden": "true" });
}

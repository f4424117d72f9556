// Drawing shapes: lasso and box stay armed after each use; Shift adds, Alt takes away. Shapes live in data coordinates.

import { h } from "../../shared/dom";

const MIN_STEP = 3; // px between corners of a lasso
const CLICK = 5; // px; a shorter movement is a click
const MAX_CORNERS = 600;
const SVG = "http://www.w3.org/2000/svg";

export class Shapes {
  constructor(holder, { tool, toData, toScreen, ondone, onclick }) {
    Object.assign(this, { holder, tool, toData, toScreen, ondone, onclick });
    this.regions = [];
    this.path = null;
    this.svg = document.createElementNS(SVG, "svg");
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

  get armed() {
    return this.tool() !== "pan";
  }

  onCanvas(event) {
    return event.composedPath()[0]?.tagName === "CANVAS";
  }

  at(event) {
    const box = this.holder.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  down(event) {
    if (event.button !== 0 || !this.onCanvas(event)) return;
    this.start = this.at(event);
    this.holder.focus({ preventScroll: true });
    if (!this.armed) return;
    this.path = [this.start];
    this.operation = event.shiftKey ? "add" : event.altKey ? "remove" : "new";
    this.holder.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (!this.path) return;
    const now = this.at(event);
    if (this.tool() === "box") {
      const [[x0, y0], [x1, y1]] = [this.path[0], now];
      this.path = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
    } else {
      const last = this.path.at(-1);
      if (Math.hypot(now[0] - last[0], now[1] - last[1]) >= MIN_STEP) this.path.push(now);
    }
    this.draw();
  }

  up(event) {
    const { start, path } = this;
    this.start = null;
    this.path = null;
    if (!start) return;
    const now = this.at(event);
    const moved = path ? extent(path) : Math.hypot(now[0] - start[0], now[1] - start[1]);
    if (moved < CLICK) {
      this.draw();
      this.onclick(start, event);
      return;
    }
    const nothing = this.operation === "remove" && this.regions.length === 0;
    if (!path || path.length < 3 || nothing) {
      this.draw();
      return;
    }
    const every = Math.ceil(path.length / MAX_CORNERS);
    const polygon = path.filter((_, i) => i % every === 0).map(([x, y]) => this.toData([x, y]));
    const region = { kind: this.tool(), op: this.operation, polygon: polygon.flat() };
    this.regions = region.op === "new" || this.regions.length === 0 ? [{ ...region, op: "new" }] : [...this.regions, region];
    this.draw();
    this.ondone();
  }

  drop() {
    this.path = null;
    this.start = null;
    this.draw();
  }

  clear() {
    this.regions = [];
    this.path = null;
    this.draw();
  }

  /** Redraw after every change of the view. */
  draw() {
    const paths = this.regions.map((region) => {
      const corners = [];
      for (let i = 0; i < region.polygon.length; i += 2) corners.push(this.toScreen([region.polygon[i], region.polygon[i + 1]]));
      return outline(corners, region.op);
    });
    if (this.path && this.path.length > 1) paths.push(outline(this.path, this.operation, true));
    this.svg.replaceChildren(...paths);
  }
}

function extent(path) {
  const xs = path.map(([x]) => x);
  const ys = path.map(([, y]) => y);
  return Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys));
}

function outline(corners, operation, open = false) {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", `M${corners.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}Z`);
  path.setAttribute("class", `shape ${operation}${open ? " drawing" : ""}`);
  return path;
}

/** A frame on a point; used for the pinned and the focused one. */
export function ring(kind) {
  return h("span", { class: `ring ${kind} k-hidden`, "aria-hidden": "true" });
}

// The WebGL picture: regl-scatterplot with our coordinates, colours and view, remade when its context is lost.

import createScatterplot, { createRenderer, createSpatialIndex } from "regl-scatterplot";
import { h } from "../../shared/dom";

const DIM = 0.15;
const MARGIN = 0.94;
const MORPH = 900; // ms in which a first map turns into the better one
const MOST_MORPHED = 200_000;
const MOST_STRETCH = 3; // one axis against the other: a map's axes have no unit, so each may fill its side of the pane

/** Whether this browser can draw the map: WebGL with float textures, which the picture is blended in. */
export function hasWebGL() {
  const context = document.createElement("canvas").getContext("webgl");
  const works = Boolean(context) && !context.isContextLost() && Boolean(context.getExtension("OES_texture_float"));
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return works;
}

export class Plot {
  constructor(holder, { onview, onlost, onfail }) {
    this.holder = holder;
    this.onview = onview;
    this.onlost = onlost;
    this.onfail = onfail;
    this.points = null;
    this.view = null;
    this.busy = Promise.resolve();
    this.restores = 0;
    this.make();
  }

  make() {
    this.canvas = h("canvas", { class: "gl" });
    this.holder.prepend(this.canvas);
    // The renderer has a canvas of its own, off the page, and copies each picture onto the visible one.
    this.renderer = createRenderer();
    this.renderer.canvas.addEventListener("webglcontextlost", () => this.lost(), { once: true });
    this.scatter = createScatterplot({
      renderer: this.renderer,
      canvas: this.canvas,
      width: Math.max(1, this.holder.clientWidth),
      height: Math.max(1, this.holder.clientHeight),
      backgroundColor: this.ground ?? "#ffffff",
      mouseMode: "panZoom",
      actionKeyMap: {},
      lassoInitiator: false,
      deselectOnDblClick: false,
      deselectOnEscape: false,
      showReticle: false,
      colorBy: "valueA",
      opacityBy: "valueB",
      opacity: [DIM, 0.85],
      pointSize: 4,
      pointScaleMode: "constant",
      spatialIndexUseWorker: false,
      ...(this.view ? { cameraView: this.view } : {}),
    });
    this.scatter.subscribe("view", ({ view }) => {
      this.view = Float32Array.from(view);
      this.onview();
    });
    this.view ??= Float32Array.from(this.scatter.get("cameraView"));
  }

  lost() {
    if (this.gone) return;
    this.onlost(true);
    if (++this.restores > 5) {
      this.onfail();
      return;
    }
    clearTimeout(this.remaking);
    this.remaking = setTimeout(() => this.remake(), 300);
  }

  remake() {
    this.free();
    try {
      this.make();
    } catch (error) {
      console.error("Kindred map: the graphics context did not come back", error);
      this.onfail();
      return;
    }
    this.busy = Promise.resolve();
    const { points, list } = this;
    if (points?.length) this.draw(list).then((drawn) => drawn && this.onlost(false));
    else this.onlost(false);
  }

  /** Take over geometry: interleaved data coordinates; returns them scaled into [-1, 1]. */
  place(xy) {
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < xy.length; i += 2) {
      if (!Number.isFinite(xy[i]) || !Number.isFinite(xy[i + 1])) continue;
      x0 = Math.min(x0, xy[i]);
      x1 = Math.max(x1, xy[i]);
      y0 = Math.min(y0, xy[i + 1]);
      y1 = Math.max(y1, xy[i + 1]);
    }
    if (x0 > x1) [x0, x1, y0, y1] = [-1, 1, -1, 1];
    this.center = [(x0 + x1) / 2, (y0 + y1) / 2];
    const wide = Math.max(x1 - x0, 1e-9);
    const tall = Math.max(y1 - y0, 1e-9);
    const least = Math.max(wide, tall) / MOST_STRETCH;
    this.scale = [(2 * MARGIN) / Math.max(wide, least), (2 * MARGIN) / Math.max(tall, least)];
    const unit = new Float32Array(xy.length);
    const before = this.points?.length ?? 0;
    this.morphs = before > 0 && before === xy.length >> 1 && before <= MOST_MORPHED && !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.points = new Array(xy.length >> 1);
    for (let i = 0; i < this.points.length; i++) {
      // A point without a place stands far outside the picture.
      const x = (xy[2 * i] - this.center[0]) * this.scale[0];
      const y = (xy[2 * i + 1] - this.center[1]) * this.scale[1];
      unit[2 * i] = Number.isFinite(x) ? x : 1e6;
      unit[2 * i + 1] = Number.isFinite(y) ? y : 1e6;
      this.points[i] = [unit[2 * i], unit[2 * i + 1], 0, 1];
    }
    this.unit = unit;
    return unit;
  }

  /** Colour the points; `mask` null means that all are highlighted. */
  paint(list, index, mask) {
    const { points } = this;
    const dimmed = list.length - 1;
    for (let i = 0; i < points.length; i++) {
      const lit = !mask || mask[i];
      points[i][2] = lit ? index[i] : dimmed;
      points[i][3] = lit ? 1 : 0;
    }
    this.list = list;
    return this.draw(list);
  }

  /**
   * The library refuses to draw while it draws, so requests queue and only the newest one is carried out.
   * @returns {Promise<boolean>} whether this request was drawn
   */
  draw(list) {
    const ticket = (this.ticket = (this.ticket ?? 0) + 1);
    const { scatter } = this;
    const drawn = this.busy.then(async () => {
      if (ticket !== this.ticket || scatter !== this.scatter || !this.points?.length) return false;
      // The library's own point search cannot see into a shadow root; an index of one far point keeps it idle.
      this.idle ??= await createSpatialIndex([[1e6, 1e6]], false);
      scatter.set({ pointColor: list, pointSize: this.pointSize() });
      const transition = this.morphs ? { transition: true, transitionDuration: MORPH } : {};
      this.morphs = false;
      await scatter.draw(this.points, { ...transition, zDataType: "categorical", wDataType: "categorical", spatialIndex: this.idle, preventFilterReset: true });
      return true;
    });
    this.busy = drawn.catch((error) => console.error("Kindred map: drawing failed", error));
    return drawn;
  }

  pointSize() {
    const n = this.points?.length ?? 0;
    if (n < 2000) return 7;
    if (n < 20000) return 5;
    if (n < 200000) return 3;
    return 2;
  }

  setGround(color) {
    if (this.ground === color) return;
    this.ground = color;
    this.scatter.set({ backgroundColor: color });
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.holder;
    if (!width || !height) return;
    const fitted = this.fitted && this.view.every((value, i) => Math.abs(value - this.fitted[i]) < 1e-6);
    this.scatter.set({ width, height });
    if (fitted) this.fit(); // what was shown whole stays whole
  }

  get aspect() {
    return this.holder.clientWidth / Math.max(1, this.holder.clientHeight);
  }

  /** Place on screen (px from the top left) of a point in [-1, 1] coordinates. */
  toScreen(x, y) {
    const { view } = this;
    const nx = (view[0] * x + view[12]) / this.aspect;
    const ny = view[5] * y + view[13];
    return [((nx + 1) / 2) * this.holder.clientWidth, ((1 - ny) / 2) * this.holder.clientHeight];
  }

  /** The inverse of `toScreen`. */
  toUnit(px, py) {
    const { view } = this;
    const nx = ((px / this.holder.clientWidth) * 2 - 1) * this.aspect;
    const ny = 1 - (py / this.holder.clientHeight) * 2;
    return [(nx - view[12]) / view[0], (ny - view[13]) / view[5]];
  }

  toData([x, y]) {
    return [x / this.scale[0] + this.center[0], y / this.scale[1] + this.center[1]];
  }

  fromData([x, y]) {
    return [(x - this.center[0]) * this.scale[0], (y - this.center[1]) * this.scale[1]];
  }

  /** How much larger than fitted the map is shown; 1 shows all of it. */
  get zoom() {
    return this.view[5] / this.whole[1];
  }

  /** Scales at which the whole map fills the pane, within the stretch that is allowed. */
  get whole() {
    const { aspect } = this;
    return [Math.min(aspect, MOST_STRETCH), Math.min(1, MOST_STRETCH * aspect)];
  }

  setView(zoom, x, y) {
    const [across, down] = this.whole.map((scale) => scale * zoom);
    const view = new Float32Array([across, 0, 0, 0, 0, down, 0, 0, 0, 0, 1, 0, -across * x, -down * y, 0, 1]);
    this.view = view;
    this.scatter.set({ cameraView: view });
    this.onview();
  }

  fit() {
    this.setView(1, 0, 0);
    this.fitted = this.view;
  }

  free() {
    try {
      this.scatter.destroy();
      this.renderer.destroy();
    } catch {
      // The library cannot free what went with a lost context; a new canvas replaces all of it.
    }
    this.canvas.remove();
  }

  destroy() {
    this.gone = true;
    clearTimeout(this.remaking);
    this.free();
  }
}

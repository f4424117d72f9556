// The WebGL picture: regl-scatterplot with our coordinates, colours and view, remade when its context is lost.

import createScatterplot, { createRenderer, createSpatialIndex } from "regl-scatterplot";
import { h } from "../../shared/dom";
import type { Point, View } from "./types";

type Scatter = ReturnType<typeof createScatterplot>;

/** What the picture tells the map. */
interface Listener {
  onview(): void;
  onlost(is: boolean): void;
  onfail(): void;
}

const DIM = 0.15;
const MARGIN = 0.94;
const MORPH = 900; // ms in which a first map turns into the better one
const MOST_MORPHED = 200_000;
const MOST_STRETCH = 3; // one axis against the other: a map's axes have no unit, so each may fill its side of the pane

/** Whether this browser can draw the map: WebGL with float textures, which the picture is blended in. */
export function hasWebGL(): boolean {
  const context = document.createElement("canvas").getContext("webgl");
  const works = context !== null && !context.isContextLost() && Boolean(context.getExtension("OES_texture_float"));
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return works;
}

export class Plot {
  declare scatter: Scatter; // these three are made anew when the context is lost
  private declare renderer: ReturnType<typeof createRenderer>;
  private declare canvas: HTMLCanvasElement;
  declare view: View;
  unit: Float32Array = new Float32Array(0); // coordinates in [-1, 1], interleaved
  list: string[] | null = null; // the colours of the last painting
  private points: [x: number, y: number, color: number, lit: number][] = [];
  private center: Point = [0, 0];
  private scale: Point = [1, 1];
  private fitted: View | null = null;
  private ground: string | null = null;
  private busy: Promise<unknown> = Promise.resolve();
  private ticket = 0;
  private idle: ArrayBuffer | null = null;
  private morphs = false;
  private restores = 0;
  private gone = false;
  private remaking: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly holder: HTMLElement,
    private readonly listener: Listener,
  ) {
    this.make();
  }

  private make(): void {
    this.canvas = h("canvas", { class: "gl" });
    this.holder.prepend(this.canvas);
    // The renderer has a canvas of its own, off the page, and copies each picture onto the visible one.
    this.renderer = createRenderer();
    this.renderer.canvas.addEventListener("webglcontextlost", () => this.lost(), { once: true });
    const options: Parameters<typeof createScatterplot>[0] & { actionKeyMap: Record<string, string> } = {
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
    };
    this.scatter = createScatterplot(options);
    this.scatter.subscribe("view", ({ view }) => {
      this.view = Float32Array.from(view);
      this.listener.onview();
    });
    this.view ??= Float32Array.from(this.scatter.get("cameraView"));
  }

  private lost(): void {
    if (this.gone) return;
    this.listener.onlost(true);
    if (++this.restores > 5) {
      this.listener.onfail();
      return;
    }
    clearTimeout(this.remaking);
    this.remaking = setTimeout(() => this.remake(), 300);
  }

  private remake(): void {
    this.free();
    try {
      this.make();
    } catch (error) {
      console.error("Kindred map: the graphics context did not come back", error);
      this.listener.onfail();
      return;
    }
    this.busy = Promise.resolve();
    if (this.points.length && this.list) this.draw(this.list).then((drawn) => drawn && this.listener.onlost(false));
    else this.listener.onlost(false);
  }

  /** Take over geometry: interleaved data coordinates; returns them scaled into [-1, 1]. */
  place(xy: Float32Array): Float32Array {
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < xy.length; i += 2) {
      const [x, y] = [xy[i]!, xy[i + 1]!];
      if (!Number.isFinite(x) || !Number.isFinite(y)) continue;
      x0 = Math.min(x0, x);
      x1 = Math.max(x1, x);
      y0 = Math.min(y0, y);
      y1 = Math.max(y1, y);
    }
    if (x0 > x1) [x0, x1, y0, y1] = [-1, 1, -1, 1];
    this.center = [(x0 + x1) / 2, (y0 + y1) / 2];
    const wide = Math.max(x1 - x0, 1e-9);
    const tall = Math.max(y1 - y0, 1e-9);
    const least = Math.max(wide, tall) / MOST_STRETCH;
    this.scale = [(2 * MARGIN) / Math.max(wide, least), (2 * MARGIN) / Math.max(tall, least)];
    const unit = new Float32Array(xy.length);
    const before = this.points.length;
    this.morphs = before > 0 && before === xy.length >> 1 && before <= MOST_MORPHED && !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.points = new Array(xy.length >> 1);
    for (let i = 0; i < this.points.length; i++) {
      // A point without a place stands far outside the picture.
      const x = (xy[2 * i]! - this.center[0]) * this.scale[0];
      const y = (xy[2 * i + 1]! - this.center[1]) * this.scale[1];
      unit[2 * i] = Number.isFinite(x) ? x : 1e6;
      unit[2 * i + 1] = Number.isFinite(y) ? y : 1e6;
      this.points[i] = [unit[2 * i]!, unit[2 * i + 1]!, 0, 1];
    }
    this.unit = unit;
    return unit;
  }

  /** Colour the points; `mask` null means that all are highlighted. */
  paint(list: string[], index: Uint16Array, mask: Uint8Array | null): Promise<boolean> {
    const { points } = this;
    const dimmed = list.length - 1;
    for (let i = 0; i < points.length; i++) {
      const lit = !mask || mask[i];
      points[i]![2] = lit ? index[i]! : dimmed;
      points[i]![3] = lit ? 1 : 0;
    }
    this.list = list;
    return this.draw(list);
  }

  /**
   * The library refuses to draw while it draws, so requests queue and only the newest one is carried out; answers
   * whether this one was drawn.
   */
  private draw(list: string[]): Promise<boolean> {
    const ticket = ++this.ticket;
    const { scatter } = this;
    const drawn = this.busy.then(async () => {
      if (ticket !== this.ticket || scatter !== this.scatter || !this.points.length) return false;
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

  private pointSize(): number {
    const n = this.points.length;
    if (n < 2000) return 7;
    if (n < 20000) return 5;
    if (n < 200000) return 3;
    return 2;
  }

  setGround(color: string): void {
    if (this.ground === color) return;
    this.ground = color;
    this.scatter.set({ backgroundColor: color });
  }

  resize(): void {
    const { clientWidth: width, clientHeight: height } = this.holder;
    if (!width || !height) return;
    const { fitted } = this;
    const whole = fitted && this.view.every((value, i) => Math.abs(value - fitted[i]!) < 1e-6);
    this.scatter.set({ width, height });
    if (whole) this.fit(); // what was shown whole stays whole
  }

  private get aspect(): number {
    return this.holder.clientWidth / Math.max(1, this.holder.clientHeight);
  }

  /** Place on screen (px from the top left) of a point in [-1, 1] coordinates. */
  toScreen(x: number, y: number): Point {
    const { view } = this;
    const nx = (view[0]! * x + view[12]!) / this.aspect;
    const ny = view[5]! * y + view[13]!;
    return [((nx + 1) / 2) * this.holder.clientWidth, ((1 - ny) / 2) * this.holder.clientHeight];
  }

  /** The inverse of `toScreen`. */
  toUnit(px: number, py: number): Point {
    const { view } = this;
    const nx = ((px / this.holder.clientWidth) * 2 - 1) * this.aspect;
    const ny = 1 - (py / this.holder.clientHeight) * 2;
    return [(nx - view[12]!) / view[0]!, (ny - view[13]!) / view[5]!];
  }

  toData([x, y]: Point): Point {
    return [x / this.scale[0] + this.center[0], y / this.scale[1] + this.center[1]];
  }

  fromData([x, y]: Point): Point {
    return [(x - this.center[0]) * this.scale[0], (y - this.center[1]) * this.scale[1]];
  }

  /** How much larger than fitted the map is shown; 1 shows all of it. */
  get zoom(): number {
    return this.view[5]! / this.whole[1];
  }

  /** Scales at which the whole map fills the pane, within the stretch that is allowed. */
  private get whole(): [across: number, down: number] {
    const { aspect } = this;
    return [Math.min(aspect, MOST_STRETCH), Math.min(1, MOST_STRETCH * aspect)];
  }

  setView(zoom: number, x: number, y: number): void {
    const [wide, tall] = this.whole;
    const [across, down] = [wide * zoom, tall * zoom];
    const view = new Float32Array([across, 0, 0, 0, 0, down, 0, 0, 0, 0, 1, 0, -across * x, -down * y, 0, 1]);
    this.view = view;
    this.scatter.set({ cameraView: view });
    this.listener.onview();
  }

  fit(): void {
    this.setView(1, 0, 0);
    this.fitted = this.view;
  }

  private free(): void {
    try {
      this.scatter.destroy();
      this.renderer.destroy();
    } catch {
      // The library cannot free what went with a lost context; a new canvas replaces all of it.
    }
    this.canvas.remove();
  }

  destroy(): void {
    this.gone = true;
    clearTimeout(this.remaking);
    this.free();
  }
}

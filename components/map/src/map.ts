// The map: ties channels, picture, tools and messages together. Python's face is components/map/face.py.

import { arrays, listen, memoryOf, Outbox, type Say, stamp } from "../../shared/channels";
import { count, h, helpDialog, iconButton } from "../../shared/dom";
import { pageKeys } from "../../shared/keys";
import type { Arrays } from "../../shared/store";
import type { MapCommand } from "../../workbench/src/protocol";
import { type Coloring, colorPoints, MISSING, unpackBits } from "./colors";
import { Contours } from "./contours";
import { PointGrid } from "./index-grid";
import { HELP, keyboard } from "./keys";
import { Shapes } from "./lasso";
import { Legend } from "./legend";
import { Names } from "./names";
import { Pictures } from "./pictures";
import { Plot } from "./plot";
import type { MapData, MapHost, Memory, Point, Tool } from "./types";

// Safari has no idle callbacks.
const { requestIdleCallback = ((work) => setTimeout(work, 60)) as typeof globalThis.requestIdleCallback, cancelIdleCallback = clearTimeout } = globalThis;
const NEAR = 9; // px within which a point is under the pointer
const TOOLS: [Tool, title: string][] = [["pan", "Move (V)"], ["lasso", "Lasso (L)"], ["box", "Box (B)"]];

export class ScatterMap {
  data: MapData;
  say: Say | null = null;
  held = false; // the space bar
  // What is shown; null where it has not come or there is none.
  n = 0;
  ids: Int32Array | null = null;
  grid: PointGrid | null = null;
  codes: Uint16Array | null = null;
  mask: Uint8Array | null = null;
  thumbnails = false;
  private coloring: Coloring = { list: [], index: new Uint16Array(0) };
  private version: string | null = null;
  private look = "";

  readonly holder = h("div", { class: "holder", tabindex: "0", role: "application" });
  private readonly text = h("span", { class: "count", role: "status", "aria-live": "polite" });
  private readonly tools = TOOLS.map(([tool, title]) => iconButton(tool, title, () => this.setTool(tool), { "data-tool": tool }));
  private readonly menu: HTMLSelectElement = h("select", { class: "k-select k-hidden", "aria-label": "Colour by", title: "Colour by", onchange: () => this.outbox.send({ action: "color", key: "", part: "map", text: this.menu.value }) });
  private readonly hint = h("span", { class: "hint k-hidden", role: "status" });
  private readonly lines = iconButton("contour", "Contours of density (C)", () => this.setContours(), { "aria-pressed": "false" });
  private readonly notice = h("div", { class: "notice k-hidden", role: "status" });
  private readonly nothing = h("div", { class: "k-empty cover k-hidden" });
  private help: HTMLDialogElement | undefined;

  readonly outbox: Outbox;
  readonly plot: Plot;
  readonly pictures: Pictures;
  private readonly body: HTMLElement;
  private readonly legend: Legend;
  private readonly contours: Contours;
  private readonly names: Names;
  private readonly shapes: Shapes;
  private readonly key: string;
  private readonly memory: Partial<Memory>;
  private readonly resizing: ResizeObserver;
  private readonly stop: () => void;
  private tool: Tool;
  private painting = 0;
  private frame: number | null = null;

  /** `host`, where the map is a part of something larger: its outbox. */
  constructor(
    readonly root: HTMLElement,
    data: MapData,
    readonly host: MapHost | null = null,
  ) {
    this.key = data.key;
    this.memory = memoryOf<Memory>("map", data.key);
    this.tool = this.memory.tool ?? data.tool;
    this.data = data;
    this.outbox = host?.outbox ?? new Outbox(() => this.say);
    this.legend = new Legend(this);
    this.body = h("div", { class: "body" }, this.holder, this.legend.element);
    this.root.append(this.bar(), this.body);
    this.plot = new Plot(this.holder, { onview: () => this.viewed(), onlost: (lost) => this.lost(lost), onfail: () => this.say?.setStateValue("webgl", false) });
    this.pictures = new Pictures(this);
    this.contours = new Contours(this);
    this.names = new Names(this);
    this.shapes = new Shapes(this.holder, {
      tool: () => (this.held ? "pan" : this.tool),
      toData: ([x, y]) => this.plot.toData(this.plot.toUnit(x, y)),
      toScreen: (point) => this.plot.toScreen(...this.plot.fromData(point)),
      ondone: () => this.sendRegions(),
      onclick: (at) => this.clicked(at),
    });
    this.holder.append(this.nothing, this.notice, this.hint);
    this.holder.addEventListener("pointermove", (event) => this.hover(event));
    this.holder.addEventListener("pointerleave", () => this.pictures.hover(-1, [0, 0]));
    this.holder.addEventListener("dblclick", () => this.pictures.pinned >= 0 && this.open(this.pictures.pinned));
    keyboard(this);
    this.resizing = new ResizeObserver(() => {
      this.plot.resize();
      this.viewed();
    });
    this.resizing.observe(this.holder);
    this.stop = listen((channel) => channel.startsWith(`${this.key}:`) && this.update(this.data));
    this.setTool(this.tool);
  }

  private bar(): HTMLElement {
    const { host } = this;
    return h(
      "div",
      { class: "k-bar" },
      this.text,
      this.menu,
      h("span", { class: "k-space" }),
      h("span", { class: "tools", role: "group", "aria-label": "Tools" }, ...this.tools),
      this.lines,
      iconButton("fit", "Fit everything (F)", () => this.plot.fit()),
      ...(host ? [iconButton("whole_window", "Map alone (W)", () => host.enlarge("map"))] : []),
      iconButton("clear", "Clear the selection (Esc)", () => this.clear()),
      iconButton("help", "Keys (?)", () => this.showHelp()),
    );
  }

  destroy(): void {
    this.resizing.disconnect();
    if (!this.host) this.outbox.stop();
    this.stop();
    this.memory.view = this.plot.view;
    cancelIdleCallback(this.painting);
    this.plot.destroy();
    if (this.frame !== null) cancelAnimationFrame(this.frame);
  }

  // ---- data from Python

  update(data: MapData): void {
    this.data = data;
    if (!this.host) this.outbox.acknowledge(data.acted ?? 0);
    const { key, memory } = this;
    if (!this.host) this.body.style.height = `${data.height}px`;
    this.holder.setAttribute("aria-label", data.label);
    this.holder.classList.toggle("no-outlines", !data.outlines);
    this.plot.setGround(this.ground());
    this.nothing.replaceChildren(h("strong", {}, data.empty), h("span", {}, data.emptyHint));
    this.nothing.classList.toggle("k-hidden", data.n > 0);
    const geometry = arrays(`${key}:geometry`, data.version);
    const colors = data.colors === null ? null : arrays(`${key}:colors`, data.colors);
    const marks = data.highlight === null ? null : arrays(`${key}:highlight`, data.highlight);
    if (!geometry || (data.colors !== null && !colors) || (data.highlight !== null && !marks)) return; // still coming
    const moved = this.version !== data.version;
    if (moved) this.adopt(data, geometry);
    this.thumbnails = data.thumbnails;
    this.offer(data);
    this.obey(data.command);
    const look = JSON.stringify([data.version, data.colors, data.highlight, data.range, data.legend, data.palette, this.accent()]);
    if (look !== this.look) {
      this.look = look;
      this.codes = (colors?.codes ?? null) as Uint16Array | null;
      this.mask = marks ? unpackBits(marks.bits as Uint8Array, this.n) : null;
      this.coloring = colorPoints({ n: this.n, codes: this.codes, range: data.range, legend: data.legend, palette: data.palette, noise: data.noise, rampColors: data.ramp, accent: this.accent() });
      if (this.n) this.paintSoon(look);
      this.legend.draw();
      this.names.refresh();
      this.contours.refresh();
      this.count();
      this.pictures.place();
    }
    memory.version = data.version;
  }

  private offer({ colorings, colorLabel, note }: MapData): void {
    const menu = this.menu;
    const wanted = JSON.stringify(colorings);
    menu.classList.toggle("k-hidden", colorings.length === 0);
    if (menu.dataset.choices !== wanted) {
      menu.dataset.choices = wanted;
      menu.replaceChildren(...colorings.map(([value, title]) => h("option", { value }, title)));
    }
    menu.value = colorLabel;
    this.hint.textContent = note;
    this.hint.classList.toggle("k-hidden", !note);
  }

  /** Repaint when the browser has a moment: the gallery beside the map is quicker to answer and goes first. */
  private paintSoon(look: string): void {
    cancelIdleCallback(this.painting);
    this.painting = requestIdleCallback(
      () => this.plot.paint(this.coloring.list, this.coloring.index, this.mask).then((done) => done && this.drawn(look)),
      { timeout: this.plot.list ? 200 : 1 },
    );
  }

  private adopt(data: MapData, geometry: Arrays): void {
    const { memory } = this;
    this.version = data.version;
    this.n = data.n;
    this.ids = (geometry.ids ?? null) as Int32Array | null;
    this.grid = new PointGrid(this.plot.place(geometry.xy as Float32Array));
    const same = memory.version === data.version;
    this.shapes.regions = same ? (memory.regions ?? []) : [];
    if (!same) {
      this.pictures.pin(-1);
      this.pictures.focus(-1);
    }
    if (same && memory.view) {
      this.plot.view = memory.view;
      this.plot.scatter.set({ cameraView: memory.view });
    } else {
      this.plot.fit();
    }
    this.shapes.draw();
  }

  private obey(command: MapCommand | null): void {
    if (!command || command.nonce <= (this.memory.nonce ?? 0)) return;
    this.memory.nonce = command.nonce;
    if (command.clear) {
      this.shapes.clear();
      this.memory.regions = [];
    }
    if (command.regions && command.version === this.version) {
      this.shapes.regions = this.memory.regions = command.regions;
      this.shapes.draw();
    }
    if (command.focus !== undefined && command.focus < this.n) {
      const unit = this.plot.unit;
      this.plot.setView(Math.max(this.plot.zoom, 3), unit[2 * command.focus]!, unit[2 * command.focus + 1]!);
      this.pictures.focus(command.focus);
    }
  }

  private drawn(look: string): void {
    this.root.dataset.drawn = look;
    this.root.dataset.drawings = String(Number(this.root.dataset.drawings ?? 0) + 1);
  }

  // ---- what the person does

  setTool(tool: Tool): void {
    this.tool = this.memory.tool = tool;
    for (const button of this.tools) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    this.holder.dataset.tool = tool;
  }

  setContours(): void {
    this.contours.toggle();
    this.lines.setAttribute("aria-pressed", String(this.contours.on));
  }

  private rowAt([px, py]: Point): number {
    const { grid, mask } = this;
    if (!grid) return -1;
    const [x, y] = this.plot.toUnit(px, py);
    const [x1, y1] = this.plot.toUnit(px + NEAR, py - NEAR);
    return grid.nearest(x, y, Math.abs(x1 - x), Math.abs(y1 - y), mask ? (i) => mask[i] === 1 : null);
  }

  private hover(event: PointerEvent): void {
    if (this.shapes.path || event.buttons) {
      this.pictures.hover(-1, [0, 0]);
      return;
    }
    const at = this.shapes.at(event);
    const row = this.shapes.onCanvas(event) ? this.rowAt(at) : -1;
    this.pictures.hover(row, at);
    this.holder.classList.toggle("aimed", row >= 0);
  }

  private clicked(at: Point): void {
    this.holder.focus({ preventScroll: true });
    const row = this.rowAt(at);
    if (row >= 0) this.pin(row);
  }

  pin(row: number): void {
    this.pictures.pin(row);
    this.say?.setStateValue("pinned", { row, t: stamp(), v: this.version });
  }

  open(row: number): void {
    this.send("open", "", row);
  }

  chooseCategory(code: number): void {
    if (code >= 0) this.outbox.send({ action: "category", position: code });
  }

  /** Take away what was begun or drawn last, then the pin; returns whether there was something. */
  clear(): boolean {
    if (this.shapes.path) {
      this.shapes.drop();
      return true;
    }
    const found = this.shapes.regions.length > 0 || this.pictures.pinned >= 0 || this.pictures.focused >= 0;
    if (this.shapes.regions.length) {
      this.shapes.clear();
      this.sendRegions();
      this.host?.cleared();
    } else if (this.pictures.pinned >= 0) {
      this.pin(-1);
    }
    this.pictures.focus(-1);
    return found;
  }

  private sendRegions(): void {
    this.memory.regions = this.shapes.regions;
    this.say?.setStateValue("regions", { v: this.version, c: this.memory.nonce ?? 0, t: stamp(), regions: this.shapes.regions });
  }

  /** While the space bar is held, dragging moves the map whatever the tool. */
  moving(on: boolean): void {
    this.held = on;
    this.holder.dataset.tool = on ? "pan" : this.tool;
  }

  act(action: string, key: string): void {
    const row = this.pictures.pinned >= 0 ? this.pictures.pinned : this.pictures.hovered;
    this.send(action, key, row);
  }

  private send(action: string, key: string, row: number): void {
    const id = row >= 0 && this.ids ? this.ids[row] : null;
    this.outbox.send({ action, key, part: "map", position: row >= 0 ? row : null, id, ...this.host?.about() });
  }

  showHelp(): void {
    this.help?.remove();
    this.help = helpDialog("Keys of the map", [...HELP, ...pageKeys(this.data.keys)]);
    this.help.addEventListener("close", () => this.holder.focus({ preventScroll: true }));
    this.root.append(this.help);
    this.help.showModal();
  }

  // ---- what is shown

  private viewed(): void {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.memory.view = this.plot.view;
      this.shapes.draw();
      this.pictures.place();
      this.names.place();
      this.contours.place();
    });
  }

  private lost(is: boolean): void {
    this.notice.textContent = "The graphics card was reset. Drawing the map again.";
    this.notice.classList.toggle("k-hidden", !is);
  }

  private count(): void {
    let marked = 0;
    if (this.mask) for (let i = 0; i < this.n; i++) marked += this.mask[i]!;
    this.text.textContent = this.mask ? `${count(marked)} of ${count(this.n)}` : `${count(this.n)} points`;
  }

  screenOf(row: number): Point {
    return this.plot.toScreen(this.plot.unit[2 * row]!, this.plot.unit[2 * row + 1]!);
  }

  colorOf(row: number): string {
    return this.coloring.list[this.coloring.index[row]!]!;
  }

  describe(row: number): string {
    if (!this.codes) return "";
    const { range, legend, colorLabel } = this.data;
    const code = this.codes[row]!;
    if (range) return code === MISSING ? "no value" : `${colorLabel} ${(range[0] + (code / 65534) * (range[1] - range[0])).toPrecision(3)}`;
    return legend[code]?.[0] ?? (code === MISSING ? "none" : `${colorLabel} ${code}`);
  }

  private ground(): string {
    return hex(getComputedStyle(this.holder).backgroundColor) ?? "#ffffff";
  }

  private accent(): string {
    return hex(getComputedStyle(this.root).getPropertyValue("--k-accent").trim()) ?? "#2f6fed";
  }
}

/** `#rrggbb` of any CSS colour, as the drawing library wants it. */
function hex(color: string): string | null {
  if (!color) return null;
  const context = document.createElement("canvas").getContext("2d")!;
  context.fillStyle = color;
  return /^#[0-9a-f]{6}$/.test(context.fillStyle) ? context.fillStyle : null;
}

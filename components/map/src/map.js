// The map: ties channels, picture, tools and messages together. Python's face is components/map/face.py.

import { arrays, listen, memoryOf, Outbox, stamp } from "../../shared/channels";
import { count, h, helpDialog, iconButton } from "../../shared/dom";
import { pageKeys } from "../../shared/keys";
import { colorPoints, MISSING, unpackBits } from "./colors.js";
import { PointGrid } from "./index-grid.js";
import { Contours } from "./contours";
import { HELP, keyboard } from "./keys.js";
import { Shapes } from "./lasso.js";
import { Legend } from "./legend.js";
import { Names } from "./names";
import { Pictures } from "./pictures.js";
import { Plot } from "./plot.js";

// Safari has no idle callbacks.
const { requestIdleCallback = (work) => setTimeout(work, 60), cancelIdleCallback = clearTimeout } = globalThis;
const NEAR = 9; // px within which a point is under the pointer
const TOOLS = [["pan", "Move (V)"], ["lasso", "Lasso (L)"], ["box", "Box (B)"]];

export class ScatterMap {
  /** `host`, where the map is a part of something larger: its outbox. */
  constructor(root, data, host = null) {
    this.root = root;
    this.host = host;
    this.key = data.key;
    this.memory = memoryOf("map", data.key);
    this.tool = this.memory.tool ?? data.tool;
    this.data = data;
    this.n = 0;
    this.mask = null;
    this.outbox = host?.outbox ?? new Outbox(() => this.say);
    this.build();
  }

  build() {
    this.holder = h("div", { class: "holder", tabindex: "0", role: "application" });
    this.text = h("span", { class: "count", role: "status", "aria-live": "polite" });
    this.tools = TOOLS.map(([tool, title]) => iconButton(tool, title, () => this.setTool(tool), { "data-tool": tool }));
    this.menu = h("select", { class: "k-select k-hidden", "aria-label": "Colour by", title: "Colour by", onchange: () => this.outbox.send({ action: "color", key: "", part: "map", text: this.menu.value }) });
    this.hint = h("span", { class: "hint k-hidden", role: "status" });
    this.bar = h(
      "div",
      { class: "k-bar" },
      this.text,
      this.menu,
      h("span", { class: "k-space" }),
      h("span", { class: "tools", role: "group", "aria-label": "Tools" }, ...this.tools),
      (this.lines = iconButton("contour", "Contours of density (C)", () => this.setContours(), { "aria-pressed": "false" })),
      iconButton("fit", "Fit everything (F)", () => this.plot?.fit()),
      ...(this.host ? [iconButton("whole_window", "Map alone (W)", () => this.host.enlarge("map"))] : []),
      iconButton("clear", "Clear the selection (Esc)", () => this.clear()),
      iconButton("help", "Keys (?)", () => this.showHelp()),
    );
    this.legend = new Legend(this);
    this.notice = h("div", { class: "notice k-hidden", role: "status" });
    this.nothing = h("div", { class: "k-empty cover k-hidden" });
    this.body = h("div", { class: "body" }, this.holder, this.legend.element);
    this.root.append(this.bar, this.body);
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
    this.watch();
    this.setTool(this.tool);
  }

  watch() {
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
  }

  destroy() {
    this.resizing.disconnect();
    if (!this.host) this.outbox.stop();
    this.stop();
    this.memory.view = this.plot.view;
    cancelIdleCallback(this.painting);
    this.plot.destroy();
    cancelAnimationFrame(this.frame);
  }

  // ---- data from Python

  update(data) {
    this.data = data;
    if (!this.host) this.outbox.acknowledge(data.acted);
    const { key, memory } = this;
    if (!this.host) this.body.style.height = `${data.height}px`;
    this.holder.setAttribute("aria-label", data.label);
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
      this.codes = colors?.codes ?? null;
      this.mask = marks ? unpackBits(marks.bits, this.n) : null;
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

  offer({ colorings, colorLabel, note }) {
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
  paintSoon(look) {
    cancelIdleCallback(this.painting);
    this.painting = requestIdleCallback(
      () => this.plot.paint(this.coloring.list, this.coloring.index, this.mask).then((done) => done && this.drawn(look)),
      { timeout: this.plot.list ? 200 : 1 },
    );
  }

  adopt(data, geometry) {
    const { memory } = this;
    this.version = data.version;
    this.n = data.n;
    this.ids = geometry.ids ?? null;
    this.grid = new PointGrid(this.plot.place(geometry.xy));
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

  obey(command) {
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
      this.plot.setView(Math.max(this.plot.zoom, 3), unit[2 * command.focus], unit[2 * command.focus + 1]);
      this.pictures.focus(command.focus);
    }
  }

  drawn(look) {
    this.root.dataset.drawn = look;
    this.root.dataset.drawings = Number(this.root.dataset.drawings ?? 0) + 1;
  }

  // ---- what the person does

  setTool(tool) {
    this.tool = this.memory.tool = tool;
    for (const button of this.tools) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    this.holder.dataset.tool = tool;
  }

  setContours() {
    this.contours.toggle();
    this.lines.setAttribute("aria-pressed", String(this.contours.on));
  }

  rowAt([px, py]) {
    if (!this.grid) return -1;
    const [x, y] = this.plot.toUnit(px, py);
    const [x1, y1] = this.plot.toUnit(px + NEAR, py - NEAR);
    return this.grid.nearest(x, y, Math.abs(x1 - x), Math.abs(y1 - y), this.mask ? (i) => this.mask[i] === 1 : null);
  }

  hover(event) {
    if (this.shapes.path || event.buttons) {
      this.pictures.hover(-1, [0, 0]);
      return;
    }
    const at = this.shapes.at(event);
    const row = this.shapes.onCanvas(event) ? this.rowAt(at) : -1;
    this.pictures.hover(row, at);
    this.holder.classList.toggle("aimed", row >= 0);
  }

  clicked(at) {
    this.holder.focus({ preventScroll: true });
    const row = this.rowAt(at);
    if (row >= 0) this.pin(row);
  }

  pin(row) {
    this.pictures.pin(row);
    this.say?.setStateValue("pinned", { row, t: stamp(), v: this.version });
  }

  open(row) {
    this.send("open", "", row);
  }

  chooseCategory(code) {
    if (code >= 0) this.outbox.send({ action: "category", position: code });
  }

  /** Take away what was begun or drawn last, then the pin; returns whether there was something. */
  clear() {
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

  sendRegions() {
    this.memory.regions = this.shapes.regions;
    this.say?.setStateValue("regions", { v: this.version, c: this.memory.nonce ?? 0, t: stamp(), regions: this.shapes.regions });
  }

  /** While the space bar is held, dragging moves the map whatever the tool. */
  moving(on) {
    this.held = on;
    this.holder.dataset.tool = on ? "pan" : this.tool;
  }

  act(action, key) {
    const row = this.pictures.pinned >= 0 ? this.pictures.pinned : this.pictures.hovered;
    this.send(action, key, row);
  }

  send(action, key, row) {
    const id = row >= 0 && this.ids ? this.ids[row] : null;
    this.outbox.send({ action, key, part: "map", position: row >= 0 ? row : null, id, ...this.host?.about() });
  }

  showHelp() {
    this.help?.remove();
    this.help = helpDialog("Keys of the map", [...HELP, ...pageKeys(this.data.keys)]);
    this.help.addEventListener("close", () => this.holder.focus({ preventScroll: true }));
    this.root.append(this.help);
    this.help.showModal();
  }

  // ---- what is shown

  viewed() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.memory.view = this.plot.view;
      this.shapes.draw();
      this.pictures.place();
      this.names.place();
      this.contours.place();
    });
  }

  lost(is) {
    this.notice.textContent = "The graphics card was reset. Drawing the map again.";
    this.notice.classList.toggle("k-hidden", !is);
  }

  count() {
    let marked = 0;
    if (this.mask) for (let i = 0; i < this.n; i++) marked += this.mask[i];
    this.text.textContent = this.mask ? `${count(marked)} of ${count(this.n)}` : `${count(this.n)} points`;
  }

  screenOf(row) {
    return this.plot.toScreen(this.plot.unit[2 * row], this.plot.unit[2 * row + 1]);
  }

  colorOf(row) {
    return this.coloring.list[this.coloring.index[row]];
  }

  describe(row) {
    if (!this.codes) return "";
    const { range, legend, colorLabel } = this.data;
    const code = this.codes[row];
    if (range) return code === MISSING ? "no value" : `${colorLabel} ${(range[0] + (code / 65534) * (range[1] - range[0])).toPrecision(3)}`;
    return legend[code]?.[0] ?? (code === MISSING ? "none" : `${colorLabel} ${code}`);
  }

  ground() {
    return hex(getComputedStyle(this.holder).backgroundColor) ?? "#ffffff";
  }

  accent() {
    return hex(getComputedStyle(this.root).getPropertyValue("--k-accent").trim()) ?? "#2f6fed";
  }
}

/** `#rrggbb` of any CSS colour, as the drawing library wants it. */
function hex(color) {
  if (!color) return null;
  const context = document.createElement("canvas").getContext("2d");
  context.fillStyle = color;
  return /^#[0-9a-f]{6}$/.test(context.fillStyle) ? context.fillStyle : null;
}

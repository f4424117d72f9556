// The gallery: ties data, selection, view and messages together. Python's face is components/gallery/face.py.

import { arrays, listen, memoryOf, Outbox, stamp } from "../../shared/channels";
import { h, helpDialog } from "../../shared/dom";
import { pageKeys } from "../../shared/keys";
import { Cells } from "./cells";
import { Expected } from "./expected";
import { Footer } from "./footer";
import { HELP, keyboard } from "./keys";
import { GAP, held, measure, Scroll } from "./layout";
import { pointer } from "./pointer";
import { Seen } from "./seen";
import { type Encoded, Selection } from "./selection";
import { Toolbar } from "./toolbar";
import type { GalleryData, GalleryFields, GalleryHost, Memory } from "./types";
import { Viewer } from "./viewer";

const SEND_AFTER = 140; // ms of quiet before a selection goes to Python

// The class has the fields of types.ts: they are given their values by the constructor and by `update`.
export interface Gallery extends GalleryFields {}
export class Gallery {
  /** `host`, where the gallery is a part of something larger: its outbox, and what it wants to know of the selection. */
  constructor(root: HTMLElement, key: string, host: GalleryHost | null = null) {
    this.root = root;
    this.key = key;
    this.host = host;
    this.memory = memoryOf<Memory>("gallery", key);
    this.version = null;
    this.ids = new Int32Array(0);
    this.n = 0;
    this.selection = new Selection(0);
    this.anchor = 0;
    this.focus = 0;
    this.size = this.memory.size ?? 96;
    this.fit = this.memory.fit ?? "whole";
    this.named = this.memory.named ?? false;
    this.outbox = host?.outbox ?? new Outbox(() => this.say);
    this.captions = new Map();
    this.failed = (this.memory.failed ??= new Map());
    Object.assign(this, { hiddenBefore: 0, reasons: new Map(), neighbours: {}, keys: {}, buttons: [], orders: [], order: "", filters: [], filter: "", heading: "", back: "", badges: null, marks: null, badgeNames: [], markNames: [], chips: [], hints: [], stale: false, palette: ["#888"], label: "Images" });
    this.seen = new Seen(this);
    this.expected = new Expected(this);
    this.build();
    this.watch();
  }

  private build(): void {
    this.space = h("div", { class: "space" });
    this.rubber = h("div", { class: "rubber k-hidden" });
    this.plane = h("div", { class: "plane", role: "presentation" });
    this.list = h("div", { class: "list", tabindex: "0", role: "listbox", "aria-multiselectable": "true" }, this.space, this.plane, this.rubber);
    this.nothing = h("div", { class: "k-empty k-hidden" });
    this.toolbar = new Toolbar(this);
    this.body = h("div", { class: "body" }, this.list, this.nothing);
    this.footer = new Footer(this);
    this.root.append(this.toolbar.element, this.body, this.footer.element);
    this.scroll = new Scroll(this.list);
    this.grid = measure(0, 600, 400, this.size);
    this.scroll.grid = this.grid;
    this.cells = new Cells(this);
    this.viewer = new Viewer(this);
    pointer(this);
    this.deaf = keyboard(this);
  }

  private watch(): void {
    this.list.addEventListener("scroll", () => {
      this.scroll.moved();
      this.cells.glide();
      this.frame ??= requestAnimationFrame(() => {
        this.frame = null;
        this.cells.draw();
        this.reportWindow();
        this.seen.look();
      });
    });
    this.list.addEventListener(
      "wheel",
      (event) => {
        if (!this.scroll.scaled || event.ctrlKey) return;
        event.preventDefault();
        this.cells.glide();
        this.scroll.to(this.scroll.top + event.deltaY * (event.deltaMode === 1 ? 40 : 1));
        this.cells.draw();
        this.reportWindow();
      },
      { passive: false },
    );
    this.resizing = new ResizeObserver(() => this.resize());
    this.resizing.observe(this.list);
    this.stop = listen((channel) => {
      if (channel === `${this.key}:ids` || channel === `${this.key}:badges`) this.update(this.data);
    });
  }

  destroy(): void {
    this.resizing.disconnect();
    if (!this.host) this.outbox.stop();
    this.stop();
    this.deaf();
    this.cells.clear();
    if (this.viewer.dialog.open) this.viewer.dialog.close();
    clearTimeout(this.sending);
    clearTimeout(this.windowing);
  }

  // ---- data from Python

  update(data: GalleryData): void {
    this.data = data;
    if (!this.host) this.outbox.acknowledge(data.acted);
    const { key: _key, version, n, ...rest } = data;
    this.keys = rest.keys;
    this.buttons = rest.buttons;
    this.orders = rest.orders;
    this.order = rest.order;
    this.filters = rest.filters;
    this.filter = rest.filter;
    this.heading = rest.heading;
    this.back = rest.back;
    this.neighbours = rest.neighbours;
    this.wantNeighbours = rest.wantNeighbours;
    this.wantCaptions = rest.wantCaptions;
    this.badgeNames = rest.badgeNames;
    this.badgeColors = rest.badgeColors;
    this.markNames = rest.markNames;
    this.chips = rest.chips;
    this.hints = rest.hints;
    this.stale = rest.stale;
    this.wantSeen = rest.wantSeen;
    this.ticking = rest.ticking;
    this.palette = rest.palette;
    this.label = rest.label;
    this.reasons = new Map(Object.entries(rest.reasons).map(([id, reason]) => [Number(id), reason]));
    if (!this.host) this.body.style.height = `${rest.height}px`;
    this.list.setAttribute("aria-label", rest.label);
    this.root.classList.toggle("crop", this.fit === "crop");
    this.footer.draw();
    const badges = rest.badges === null ? null : arrays<{ codes: Uint16Array; marks: Uint8Array }>(`${this.key}:badges`, rest.badges);
    const received = arrays<{ ids: Int32Array }>(`${this.key}:ids`, version);
    if (!received || (rest.badges !== null && !badges)) return; // the channels bring them in a moment
    const moved = this.version !== version;
    const marked = this.badged !== rest.badges;
    this.badged = rest.badges;
    this.badges = badges?.codes ?? null;
    this.marks = badges?.marks ?? null;
    this.expected.confirmed(data.acted);
    this.root.dataset.acted = data.acted as unknown as string; // the browser writes it as text
    if (moved) this.adopt(version, received.ids, rest.view || version);
    if (rest.captions) rest.captions.names.forEach((name, i) => this.captions.set(rest.captions!.from + i, name));
    this.obey(rest.command);
    this.showEmpty(n, rest);
    if (moved) this.cells.release();
    this.resize();
    if (marked) this.cells.rebadge();
    this.cells.rename();
    this.viewer.follow(moved || marked);
    this.reportWindow();
  }

  /** Take over new ids; selection, focus and place follow the images, not the positions. */
  private adopt(version: string, ids: Int32Array, view: string): void {
    const { memory } = this;
    const before = this.version === null ? memory.ids : this.ids;
    const selection = this.version === null ? memory.selection : this.selection;
    const focused = this.version === null ? memory.focused : this.ids[this.focus];
    const place = this.version === null ? (memory.place ?? 0) : this.focus;
    const same = before && memory.view === view;
    const top = this.version === null ? (memory.top ?? 0) : this.scroll.top;
    const grid = this.version === null ? memory.grid : this.grid;
    this.selection = selection && before ? selection.moved(before, ids) : new Selection(ids.length);
    this.version = version;
    this.ids = ids;
    this.n = ids.length;
    this.index = null;
    this.captions.clear();
    this.failed.clear(); // other data is a reason to ask again
    const at = focused === undefined ? -1 : ids.indexOf(focused);
    this.focus = at >= 0 ? at : same ? Math.max(0, Math.min(place, this.n - 1)) : 0;
    this.anchor = this.focus;
    this.scroll.top = same ? held(before, ids, top, grid) : 0;
    this.settled = false;
    if (!same) this.seen.clear();
    Object.assign(memory, { ids, selection: this.selection, version, view });
  }

  private obey(command: GalleryData["command"]): void {
    if (!command || command.nonce <= (this.memory.nonce ?? 0)) return;
    this.memory.nonce = command.nonce;
    this.selection.decode(command);
    this.cells.remark();
    this.host?.selected(this);
  }

  private showEmpty(n: number, { empty, emptyHint }: Pick<GalleryData, "empty" | "emptyHint">): void {
    this.nothing.classList.toggle("k-hidden", n > 0);
    this.list.classList.toggle("k-hidden", n === 0);
    this.nothing.replaceChildren(h("strong", {}, empty), h("span", {}, emptyHint));
  }

  resize(): void {
    const width = this.list.clientWidth;
    const height = this.list.clientHeight;
    if (!width || !height) {
      this.toolbar.draw();
      return;
    }
    if (this.settled) this.scroll.moved(); // a scroll whose event is still on its way is not undone
    const anchorRow = Math.floor(this.scroll.top / this.grid.pitch) * this.grid.columns;
    const offset = this.scroll.top;
    const before = this.grid;
    this.grid = measure(this.n, width, height, this.size);
    this.space.style.height = `${this.grid.space}px`;
    Object.assign(this.scroll, { grid: this.grid, view: height });
    const moved = this.settled && (before.columns !== this.grid.columns || before.pitch !== this.grid.pitch);
    this.scroll.to(moved ? Math.floor(anchorRow / this.grid.columns) * this.grid.pitch : offset);
    this.settled = true;
    this.memory.grid = this.grid;
    this.cells.draw();
    this.toolbar.draw();
    this.seen.look();
  }

  // ---- selection and focus

  pick(position: number, { toggle = false, range = false, reveal = true }: { toggle?: boolean; range?: boolean; reveal?: boolean }): void {
    if (position < 0 || position >= this.n) return;
    const { selection } = this;
    if (range) {
      if (!toggle) selection.clear();
      selection.range(this.anchor, position);
    } else {
      const alone = selection.count === 1 && selection.has(position);
      const on = toggle ? !selection.has(position) : !alone;
      if (!toggle) selection.clear();
      selection.set(position, on);
      this.anchor = position;
    }
    this.focusOn(position, reveal);
    this.changed({});
  }

  selectAll(): void {
    this.selection.all();
    this.changed({});
  }

  deselect(): void {
    this.selection.clear();
    this.changed({});
  }

  moveFocus(to: number, extend: boolean): void {
    if (this.n === 0) return;
    const position = Math.max(0, Math.min(this.n - 1, to));
    this.focusOn(position);
    if (extend) {
      this.selection.clear();
      this.selection.range(this.anchor, position);
      this.changed({});
    } else {
      this.anchor = position;
    }
  }

  /** Move the keyboard's place; `reveal` scrolls it into view, which a click must not (a second one would miss). */
  focusOn(position: number, reveal = true): void {
    this.focus = position;
    Object.assign(this.memory, { focused: this.ids[position], place: position });
    const top = Math.floor(position / this.grid.columns) * this.grid.pitch;
    const bottom = top + this.grid.pitch + GAP;
    const { scroll } = this;
    if (reveal && top < scroll.top) scroll.to(top);
    else if (reveal && bottom > scroll.top + scroll.view) scroll.to(bottom - scroll.view);
    this.cells.draw();
  }

  /** The name, colour and mark that Python gave the image at a position. */
  badgeAt(position: number): { name: string; color: string; mark: number } {
    const code = this.badges?.[position] ?? 0;
    const name = code ? (this.badgeNames[code - 1] ?? String(code)) : "";
    return { name, color: code ? this.colorOf(code - 1) : "", mark: this.marks?.[position] ?? 0 };
  }

  colorOf(badge: number): string {
    return this.palette[(this.badgeColors?.[badge] ?? badge) % this.palette.length];
  }

  positionOf(id: number): number {
    this.index ??= new Map();
    if (this.index.size === 0) for (let i = 0; i < this.n; i++) this.index.set(this.ids[i], i);
    return this.index.get(id) ?? -1;
  }

  changed({ quiet = false }: { quiet?: boolean }): void {
    this.cells.remark();
    this.toolbar.draw();
    this.memory.selection = this.selection;
    this.host?.selected(this);
    clearTimeout(this.sending);
    if (!quiet && !this.host) this.sending = setTimeout(() => this.say?.setStateValue("selection", this.message()), SEND_AFTER);
  }

  message(): Encoded & { v: string; c: number; t: number; g: boolean } {
    return { v: this.version!, c: this.memory.nonce ?? 0, t: stamp(), g: this.selection.together, ...this.selection.encode() };
  }

  // ---- messages to Python

  act(action: string, key: string, position: number, id: number | null | undefined = this.ids[position]): void {
    clearTimeout(this.sending);
    const shown = position >= 0 && position < this.n;
    const sent = this.outbox.send({ action, key, id: id ?? null, position: shown ? position : null, selection: this.message(), ...this.host?.with() });
    this.expected.expect(action, key, id, sent);
  }

  /** Ask for something that concerns the view and no image. */
  tell(action: string, text: string): void {
    this.outbox.send({ action, key: "", part: "gallery", text });
  }

  viewing(id: number | null): void {
    clearTimeout(this.telling);
    this.telling = setTimeout(() => this.say?.setStateValue("viewing", id), 160);
  }

  /** How many of the selected images are in no row in view. */
  get hidden(): number {
    const [first, last] = this.scroll.shown();
    return this.selection.count - this.selection.within(first * this.grid.columns, last * this.grid.columns);
  }

  private reportWindow(): void {
    this.memory.top = this.scroll.top;
    if (this.hidden !== this.hiddenBefore) {
      this.hiddenBefore = this.hidden;
      this.host?.selected(this);
    }
    if (!this.wantCaptions || this.n === 0) return;
    clearTimeout(this.windowing);
    this.windowing = setTimeout(() => {
      const [first, last] = this.scroll.rows();
      const a = Math.max(0, (first - 4) * this.grid.columns);
      const b = Math.min(this.n, (last + 4) * this.grid.columns);
      const missing = !this.captions.has(first * this.grid.columns) || !this.captions.has(Math.min(this.n, last * this.grid.columns) - 1);
      if (missing) this.say?.setStateValue("window", { v: this.version, a, b });
    }, 260);
  }

  // ---- settings of the view

  setSize(size: number): void {
    this.size = this.memory.size = size;
    this.resize();
  }

  setFit(fit: "whole" | "crop"): void {
    this.fit = this.memory.fit = fit;
    this.root.classList.toggle("crop", fit === "crop");
    this.toolbar.draw();
  }

  setNamed(named: boolean): void {
    this.named = this.memory.named = named;
    this.cells.rename();
    this.toolbar.draw();
  }

  setOrder(order: string): void {
    this.order = order;
    this.say?.setStateValue("order", order);
  }

  /** Sort anew: what was labelled since may go to another place, because the person asks for it. */
  refreshOrder(): void {
    this.outbox.send({ action: "refresh_order", key: "" });
  }

  /** Put the labels of the number keys into another order, or take one away. */
  arrange(chips: string[]): void {
    this.chips = chips;
    this.footer.draw();
    this.outbox.send({ action: "arrange", key: "", labels: chips });
  }

  showHelp(): void {
    this.help?.remove();
    this.help = helpDialog("Keys of the gallery", [...HELP, ...pageKeys(this.keys), ...(this.host?.help?.() ?? [])]);
    this.help.addEventListener("close", () => this.list.focus({ preventScroll: true }));
    this.root.append(this.help);
    this.help.showModal();
  }
}

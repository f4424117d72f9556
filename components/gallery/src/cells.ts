// The cells in view: makes, places and removes them, and keeps their marks right. Nothing outside the view exists.

import { h, icon, type IconName } from "../../shared/dom";
import type { Gallery } from "./gallery";
import { GAP } from "./layout";

const REBASED = 1000; // rows
const AT_REST = 400; // ms without scrolling after which the cells are no layer of their own any more
const FAST = 4000; // px per second; while scrolling faster than this, pictures wait until it slows down

export class Cells {
  declare readonly nodes: Map<number, HTMLElement>;
  declare private readonly g: Gallery;
  declare private readonly spare: Map<number, HTMLElement>;
  declare private base: number; // where the cells' plane begins, so that they stand at small numbers on it
  declare private laid: string; // the grid that the cells stand by
  declare private lastTop: number;
  declare private lastTime: number;
  declare private resting: ReturnType<typeof setTimeout> | undefined;
  declare private settle: ReturnType<typeof setTimeout> | undefined;

  constructor(gallery: Gallery) {
    this.g = gallery;
    this.nodes = new Map();
    this.spare = new Map(); // cells of the display order before, by id
    this.base = 0;
    this.laid = "";
    this.lastTop = 0;
    this.lastTime = 0;
    this.resting = null!;
    this.settle = null!;
  }

  clear(): void {
    for (const cell of this.nodes.values()) this.remove(cell);
    this.nodes.clear();
  }

  /** While it scrolls, the cells are one layer that the compositor moves; at rest a layer only costs. */
  glide(): void {
    this.g.plane.classList.add("moving");
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.g.plane.classList.remove("moving"), AT_REST);
  }

  /** Other ids came: a picture that stays keeps its element, so that nothing is loaded or blinks again. */
  release(): void {
    for (const cell of this.nodes.values()) this.spare.set(Number(cell.dataset.id), cell);
    this.nodes.clear();
  }

  private remove(cell: HTMLElement): void {
    const image = cell.querySelector("img");
    if (image) image.removeAttribute("src"); // ends a request that nobody waits for
    cell.remove();
  }

  draw(): void {
    const { g } = this;
    const { grid, scroll } = g;
    const [first, last] = scroll.rows();
    const from = first * grid.columns;
    const to = Math.min(g.n, last * grid.columns);
    for (const [position, cell] of this.nodes) {
      if (position < from || position >= to) {
        this.remove(cell);
        this.nodes.delete(position);
      }
    }
    this.base = scroll.scaled ? Math.floor(first / REBASED) * REBASED * grid.pitch : 0;
    const where = `translateY(${this.base + scroll.shift}px)`; // read before anything is written
    if (g.plane.style.transform !== where) g.plane.style.transform = where;
    const laid = [grid.columns, grid.pitch, this.base].join(" ");
    const moved = laid !== this.laid;
    this.laid = laid;
    const hurried = this.hurried();
    for (let position = from; position < to; position++) {
      let cell = this.nodes.get(position);
      if (!cell) {
        cell = this.reuse(position) ?? this.make(position);
        this.nodes.set(position, cell);
        if (!cell.isConnected) g.plane.append(cell);
        this.place(cell, position);
      } else if (moved) this.place(cell, position);
      this.mark(cell, position);
      if (!hurried) this.load(cell);
    }
    for (const cell of this.spare.values()) this.remove(cell);
    this.spare.clear();
    if (hurried) {
      clearTimeout(this.settle);
      this.settle = setTimeout(() => this.draw(), 90);
    }
    if (this.nodes.has(g.focus)) g.list.setAttribute("aria-activedescendant", `c${g.focus}`);
    else g.list.removeAttribute("aria-activedescendant");
  }

  private hurried(): boolean {
    const now = performance.now();
    const { top } = this.g.scroll;
    const speed = Math.abs(top - this.lastTop) / Math.max(1, now - this.lastTime);
    this.lastTop = top;
    this.lastTime = now;
    return speed * 1000 > FAST;
  }

  private make(position: number): HTMLElement {
    const { g } = this;
    const id = g.ids[position];
    const cell = h("div", { class: "cell", role: "option" });
    cell.dataset.id = id as unknown as string; // the browser writes it as text
    const reason = g.reasons.get(id) ?? g.failed.get(id);
    if (reason !== undefined) this.fail(cell, reason);
    else cell.append(h("img", { alt: "", draggable: "false", decoding: "async" }));
    cell.append(h("span", { class: "tick", title: "Select" }, icon("tick")));
    return this.number(cell, position);
  }

  private reuse(position: number): HTMLElement | undefined {
    const id = this.g.ids[position];
    const cell = this.spare.get(id);
    if (!cell || cell.classList.contains("failed")) return undefined; // other data is a reason to ask again
    this.spare.delete(id);
    return this.number(cell, position);
  }

  /** What a cell owes to its place. */
  private number(cell: HTMLElement, position: number): HTMLElement {
    cell.id = `c${position}`;
    cell.dataset.position = position as unknown as string;
    cell.setAttribute("aria-setsize", this.g.n as unknown as string);
    cell.setAttribute("aria-posinset", (position + 1) as unknown as string);
    this.badge(cell, position);
    this.name(cell, position);
    return cell;
  }

  /** The label and who said it: a word and a shape, at the lower left. */
  private badge(cell: HTMLElement, position: number): void {
    const { g } = this;
    const { name, color, mark } = g.expected.of(g.ids[position]) ?? g.badgeAt(position);
    const [shape, said] = g.markNames[mark - 1] ?? [];
    const wanted = JSON.stringify([name, color, shape]);
    let badge = cell.querySelector<HTMLElement>(".badge");
    if ((badge?.dataset.look ?? "") === (name || shape ? wanted : "")) return;
    badge?.remove();
    if (!name && !shape) return;
    badge = h("span", { class: "badge", title: [name, said].filter(Boolean).join(", ") });
    badge.dataset.look = wanted;
    if (shape) badge.append(h("span", { class: `mark by-${shape}` }, ...(["tick", "close"].includes(shape) ? [icon(shape as IconName)] : shape === "guess" ? ["?"] : [])));
    else badge.append(h("span", { class: "mark by-dot" }));
    if (color) (badge.firstChild as HTMLElement).style.setProperty("--badge", color);
    if (name) badge.append(h("span", { class: "word" }, name));
    cell.append(badge);
  }

  rebadge(): void {
    for (const [position, cell] of this.nodes) this.badge(cell, position);
  }

  private load(cell: HTMLElement): void {
    const image = cell.querySelector("img");
    if (!image || image.hasAttribute("src")) return;
    const id = Number(cell.dataset.id);
    image.addEventListener(
      "load",
      () => {
        image.classList.add("here");
        this.g.seen.look();
      },
      { once: true },
    );
    image.addEventListener("error", () => {
      if (!image.hasAttribute("src")) return;
      this.g.failed.set(id, "This image could not be read.");
      image.remove();
      this.fail(cell, (this.g.reasons.get(id) ?? this.g.failed.get(id))!);
      this.name(cell, Number(cell.dataset.position));
    });
    image.src = `/thumb/${id}`;
  }

  private fail(cell: HTMLElement, reason: string): void {
    cell.classList.add("failed");
    cell.prepend(h("span", { class: "broken" }, icon("broken"), h("span", {}, reason)));
    cell.dataset.reason = reason;
  }

  /** Hover text and accessible name: the caption, and the reason of a failed image. */
  private name(cell: HTMLElement, position: number): void {
    const caption = this.g.captions.get(position) ?? `image ${cell.dataset.id}`;
    const text = cell.dataset.reason ? `${caption}: ${cell.dataset.reason}` : caption;
    cell.title = text;
    cell.setAttribute("aria-label", text);
    let line = cell.querySelector(".file");
    if (!this.g.named) line?.remove();
    else {
      if (!line) cell.append((line = h("span", { class: "file", "aria-hidden": "true" })));
      line.textContent = caption.split(" · ")[0]!.split("/").at(-1)!;
    }
  }

  rename(): void {
    for (const [position, cell] of this.nodes) this.name(cell, position);
  }

  private place(cell: HTMLElement, position: number): void {
    const { grid } = this.g;
    const x = (position % grid.columns) * grid.pitch + GAP;
    const y = Math.floor(position / grid.columns) * grid.pitch + GAP - this.base;
    const side = `${grid.side}px`;
    Object.assign(cell.style, { transform: `translate(${x}px, ${y}px)`, width: side, height: side });
  }

  private mark(cell: HTMLElement, position: number): void {
    const on = this.g.selection.has(position);
    if (cell.getAttribute("aria-selected") !== String(on)) cell.setAttribute("aria-selected", String(on));
    cell.classList.toggle("focus", position === this.g.focus);
  }

  remark(): void {
    for (const [position, cell] of this.nodes) this.mark(cell, position);
  }
}

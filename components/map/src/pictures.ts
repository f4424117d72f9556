// Pictures on the map: the thumbnail beside the pointer, the pinned one, and those at density peaks when zoomed in.

import { h, icon, iconButton } from "../../shared/dom";
import { ring } from "./lasso";
import type { ScatterMap } from "./map";
import type { Point } from "./types";

const CARD = 168;
const TILE = 66; // px; pictures stand two tiles apart
const MOST = 32;
const FEW = 12; // while the whole map is in view
const ZOOMED = 1.8;

export class Pictures {
  // Rows; -1 for none.
  hovered = -1;
  pinned = -1;
  focused = -1;
  private readonly card = h("div", { class: "card k-hidden", role: "status" });
  private readonly pinnedCard = h("div", { class: "card pinned k-hidden" });
  private readonly pinnedRing = ring("pinned");
  private readonly focusRing = ring("focused");
  private readonly peaks = h("div", { class: "peaks", "aria-hidden": "true" });
  private resting: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly map: ScatterMap) {
    map.holder.append(this.peaks, this.focusRing, this.pinnedRing, this.pinnedCard, this.card);
  }

  private content(row: number): HTMLElement[] {
    const { map } = this;
    const parts: HTMLElement[] = [];
    if (map.thumbnails && map.ids) {
      const image = h("img", { src: `/thumb/${map.ids[row]}`, alt: "", draggable: "false" });
      image.addEventListener("error", () => image.replaceWith(h("span", { class: "nothing" }, icon("broken"), "not readable")));
      parts.push(image);
    }
    const name = map.describe(row);
    if (name) parts.push(h("span", { class: "name", title: name }, name));
    return parts;
  }

  hover(row: number, [px, py]: Point): void {
    if (row === this.hovered) {
      if (row >= 0) this.beside(this.card, px, py);
      return;
    }
    this.hovered = row;
    this.card.classList.toggle("k-hidden", row < 0 || row === this.pinned);
    if (row < 0) return;
    this.card.replaceChildren(...this.content(row));
    this.beside(this.card, px, py);
  }

  pin(row: number): void {
    const { map } = this;
    this.pinned = row;
    this.pinnedCard.classList.toggle("k-hidden", row < 0);
    this.pinnedRing.classList.toggle("k-hidden", row < 0);
    if (row >= 0) {
      this.card.classList.add("k-hidden");
      this.pinnedCard.replaceChildren(
        ...this.content(row),
        h("span", { class: "row" }, iconButton("open", "Open", () => map.open(row)), iconButton("close", "Unpin (Esc)", () => map.pin(-1))),
      );
    }
    this.place();
  }

  focus(row: number): void {
    this.focused = row;
    this.focusRing.classList.toggle("k-hidden", row < 0);
    this.place();
  }

  private beside(card: HTMLElement, px: number, py: number): void {
    const { clientWidth: width, clientHeight: height } = this.map.holder;
    const tall = card.offsetHeight || CARD;
    const wide = card.offsetWidth || CARD;
    const x = px + 16 + wide > width ? px - 16 - wide : px + 16;
    const y = Math.max(4, Math.min(height - tall - 4, py - tall / 2));
    card.style.transform = `translate(${Math.max(4, x)}px, ${y}px)`;
  }

  /** Follow the view: rings and the pinned card at once, the peaks when it rests. */
  place(): void {
    const { map } = this;
    for (const [row, mark] of [[this.pinned, this.pinnedRing], [this.focused, this.focusRing]] as const) {
      if (row < 0 || !map.grid) continue;
      const [x, y] = map.screenOf(row);
      mark.style.transform = `translate(${x}px, ${y}px)`;
    }
    if (this.pinned >= 0 && map.grid) this.beside(this.pinnedCard, ...map.screenOf(this.pinned));
    this.peaks.classList.add("moving");
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.showPeaks(), 180);
  }

  private showPeaks(): void {
    const { map } = this;
    this.peaks.classList.remove("moving");
    const { plot, grid, ids, mask } = map;
    if (!map.thumbnails || !ids || !grid) {
      this.peaks.replaceChildren();
      return;
    }
    const { clientWidth: width, clientHeight: height } = map.holder;
    const [x0, y1] = plot.toUnit(0, 0);
    const [x1, y0] = plot.toUnit(width, height);
    const keep = mask ? (i: number) => mask[i] === 1 : null;
    const { points } = grid.peaks(x0, y0, x1, y1, Math.max(1, Math.round(width / TILE)), Math.max(1, Math.round(height / TILE)), plot.zoom < ZOOMED ? FEW : MOST, keep);
    this.peaks.replaceChildren(
      ...points.map((row) => {
        const [x, y] = map.screenOf(row);
        const image = h("img", { src: `/thumb/${ids[row]}`, alt: "", draggable: "false" });
        image.addEventListener("error", () => image.remove());
        image.style.transform = `translate(${x - 24}px, ${y - 24}px)`;
        image.style.borderColor = map.colorOf(row);
        return image;
      }),
    );
  }
}

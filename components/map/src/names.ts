// Names of the categories on the map: each stands where its points are densest, larger ones first, none over another.

import { h } from "../../shared/dom";
import type { ScatterMap } from "./map";

const BINS = 24; // of the histogram that finds where a category is densest, per axis
const MOST = 80;
const TALL = 19; // px a name
const APART = 3; // px between names

export interface Anchor {
  code: number;
  x: number;
  y: number;
  size: number;
  marked: number;
}

/** Where each category is densest: the mean of its points in its fullest bin. Coordinates lie in [-1, 1]. */
export function anchors(codes: Uint16Array, unit: Float32Array, categories: number, mask: Uint8Array | null = null): Anchor[] {
  const cells = BINS * BINS;
  const counts = new Uint32Array(categories * cells);
  const sizes = new Uint32Array(categories);
  const marked = new Uint32Array(categories);
  const cellOf = (i: number) => {
    const [x, y] = [unit[2 * i]!, unit[2 * i + 1]!];
    if (!(x >= -1 && x <= 1 && y >= -1 && y <= 1)) return -1;
    return Math.min(BINS - 1, Math.floor(((y + 1) / 2) * BINS)) * BINS + Math.min(BINS - 1, Math.floor(((x + 1) / 2) * BINS));
  };
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i]!;
    const cell = code < categories ? cellOf(i) : -1;
    if (cell < 0) continue;
    counts[code * cells + cell]!++;
    sizes[code]!++;
    if (mask?.[i]) marked[code]!++;
  }
  const fullest = new Int32Array(categories).fill(-1);
  for (let code = 0; code < categories; code++) {
    let most = 0;
    for (let cell = 0; cell < cells; cell++) {
      if (counts[code * cells + cell]! > most) {
        most = counts[code * cells + cell]!;
        fullest[code] = cell;
      }
    }
  }
  const sums = new Float64Array(2 * categories);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i]!;
    if (code >= categories || fullest[code]! < 0 || cellOf(i) !== fullest[code]) continue;
    sums[2 * code]! += unit[2 * i]!;
    sums[2 * code + 1]! += unit[2 * i + 1]!;
  }
  const found: Anchor[] = [];
  for (let code = 0; code < categories; code++) {
    if (fullest[code]! < 0) continue;
    const n = counts[code * cells + fullest[code]!]!;
    found.push({ code, x: sums[2 * code]! / n, y: sums[2 * code + 1]! / n, size: sizes[code]!, marked: marked[code]! });
  }
  return found.sort((a, b) => b.marked - a.marked || b.size - a.size);
}

export interface Box {
  left: number;
  top: number;
  width: number;
}

/** Which boxes can stand without one over another, in the order given; null for those that cannot. */
export function apart(boxes: readonly Box[], height: number = TALL): (Box | null)[] {
  const placed: Box[] = [];
  return boxes.map((box) => {
    const hit = placed.some(
      (other) => box.left < other.left + other.width + APART && other.left < box.left + box.width + APART && box.top < other.top + height + APART && other.top < box.top + height + APART,
    );
    if (hit) return null;
    placed.push(box);
    return box;
  });
}

export class Names {
  private readonly layer = h("div", { class: "names", "aria-hidden": "true" });
  private found: Anchor[] = [];
  private readonly wide = new Map<string, number>();
  private readonly ruler = document.createElement("canvas").getContext("2d")!;

  constructor(private readonly map: ScatterMap) {
    map.holder.append(this.layer);
    this.ruler.font = "600 12.5px sans-serif";
  }

  /** Other colours or coordinates came. */
  refresh(): void {
    const { data, codes, plot, mask } = this.map;
    const wanted = data.names && !data.range && data.legend.length > 0;
    this.found = wanted && codes ? anchors(codes, plot.unit, data.legend.length, mask).filter(({ code }) => !data.legend[code]![2]) : [];
    this.place();
  }

  private width(text: string): number {
    let width = this.wide.get(text);
    if (width === undefined) this.wide.set(text, (width = Math.min(150, this.ruler.measureText(text).width + 14)));
    return width;
  }

  place(): void {
    const { data, plot, holder, mask } = this.map;
    const { clientWidth: across, clientHeight: down } = holder;
    const inView: { anchor: Anchor; box: Box }[] = [];
    for (const anchor of this.found) {
      const [x, y] = plot.toScreen(anchor.x, anchor.y);
      if (x < 0 || y < 0 || x > across || y > down) continue;
      const width = this.width(data.legend[anchor.code]![0]);
      const left = Math.max(2, Math.min(across - width - 2, x - width / 2));
      inView.push({ anchor, box: { left, top: Math.max(2, Math.min(down - TALL - 2, y - TALL / 2)), width } });
      if (inView.length >= 4 * MOST) break;
    }
    const spots = apart(inView.map(({ box }) => box));
    const shown = inView.flatMap(({ anchor }, at) => (spots[at] ? [{ anchor, box: spots[at]! }] : [])).slice(0, MOST);
    this.layer.replaceChildren(
      ...shown.map(({ anchor, box }) => {
        const [name, color] = data.legend[anchor.code]!;
        const tag = h("span", { class: mask && 2 * anchor.marked < anchor.size ? "tag dimmed" : "tag" }, name);
        tag.style.transform = `translate(${box.left}px, ${box.top}px)`;
        tag.style.maxWidth = `${box.width}px`;
        tag.style.setProperty("--tag", color);
        return tag;
      }),
    );
  }
}

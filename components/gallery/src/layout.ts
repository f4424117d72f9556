// Where cells stand: pure arithmetic of the grid, and the mapping of a browser scroll bar to any number of rows.

export const GAP = 2; // between cells, and around all of them
// Browsers stop near 33 (Chromium) and 17 (Firefox) million px; above this the scroll bar is a scale, not a distance.
export const MAX_HEIGHT = 8_000_000;
export const MAX_CELLS = 120;
export const OVERSCAN = 1;

export interface Grid {
  columns: number;
  pitch: number;
  side: number;
  rows: number;
  total: number;
  space: number;
}

/** Columns, cell side and rows for a width; cells grow where more than MAX_CELLS would be in view. */
export function measure(n: number, width: number, height: number, wanted: number): Grid {
  let side = wanted;
  let columns = 1;
  for (;;) {
    columns = Math.max(1, Math.floor((width - GAP) / (side + GAP)));
    const pitch = (width - GAP) / columns;
    const inView = columns * (Math.ceil(height / pitch) + 1 + 2 * OVERSCAN);
    if (inView <= MAX_CELLS || columns === 1) break;
    side += 8;
  }
  const pitch = (width - GAP) / columns;
  const rows = Math.ceil(n / columns);
  const total = rows * pitch + GAP;
  return { columns, pitch, side: pitch - GAP, rows, total, space: Math.min(total, MAX_HEIGHT) };
}

/** Keeps the virtual scroll place; equals scrollTop while everything fits into MAX_HEIGHT. */
export class Scroll {
  declare readonly element: HTMLElement;
  declare top: number;
  declare grid: Grid;
  declare view: number; // px of the list in sight; read once for each size, since asking lays the page out
  declare private expected: number;

  constructor(element: HTMLElement) {
    this.element = element;
    this.top = 0;
    this.grid = null!; // the gallery gives one at once
    this.view = element.clientHeight;
    this.expected = -1;
  }

  get scaled(): boolean {
    return this.grid.total > this.grid.space;
  }

  get furthest(): number {
    return Math.max(0, this.grid.total - this.view);
  }

  /** Go to a virtual place and move the scroll bar along. */
  to(top: number): void {
    this.top = Math.max(0, Math.min(this.furthest, top));
    const room = Math.max(1, this.grid.space - this.view);
    this.expected = this.scaled ? Math.round((this.top / this.furthest) * room) : this.top;
    this.element.scrollTop = this.expected;
    this.expected = this.element.scrollTop;
  }

  /** The scroll bar was moved, by the person or by `to`. */
  moved(): void {
    const place = this.element.scrollTop;
    if (!this.scaled) this.top = place;
    else if (Math.abs(place - this.expected) > 1) {
      const room = Math.max(1, this.grid.space - this.view);
      this.top = Math.min(1, place / room) * this.furthest;
      this.expected = place;
    }
  }

  /** Offset from virtual to content coordinates. */
  get shift(): number {
    return this.scaled ? this.element.scrollTop - this.top : 0;
  }

  /** The rows of which a part is in view, without those drawn beyond it. */
  shown(): [number, number] {
    return [Math.floor(this.top / this.grid.pitch), Math.ceil((this.top + this.view) / this.grid.pitch)];
  }

  rows(): [number, number] {
    const first = Math.floor(this.top / this.grid.pitch) - OVERSCAN;
    const last = Math.ceil((this.top + this.view) / this.grid.pitch) + OVERSCAN;
    return [Math.max(0, first), Math.min(this.grid.rows, last)];
  }
}

/** Where the view must stand in `ids` for the first picture in it to stay where it was in `before`. */
export function held(before: Int32Array, ids: Int32Array, top: number, grid: Pick<Grid, "columns" | "pitch"> | null | undefined): number {
  if (!grid) return top;
  const { columns, pitch } = grid;
  const first = Math.min(before.length, Math.ceil(top / pitch) * columns);
  for (let at = first; at < Math.min(before.length, first + 200); at++) {
    const to = ids[at] === before[at] ? at : ids.indexOf(before[at]!);
    if (to >= 0) return top + (Math.floor(to / columns) - Math.floor(at / columns)) * pitch;
  }
  return top;
}

// Lines of equal density on the map: points are counted in a grid, smoothed, and followed by marching squares.

import type { ScatterMap } from "./map";

const SIDE = 72; // cells of the grid per axis
const BLURS = 3;
const LEVELS = [0.35, 0.6, 0.85]; // shares of the points that lie where it is less dense

/** How many points lie in each cell of [-1, 1] x [-1, 1], smoothed; `keep` leaves points out. */
export function density(unit: Float32Array, keep: Uint8Array | null = null, side: number = SIDE): Float32Array {
  let grid = new Float32Array(side * side);
  for (let i = 0; i < unit.length / 2; i++) {
    if (keep && !keep[i]) continue;
    const [x, y] = [unit[2 * i]!, unit[2 * i + 1]!];
    if (!(x >= -1 && x <= 1 && y >= -1 && y <= 1)) continue;
    grid[Math.min(side - 1, Math.floor(((y + 1) / 2) * side)) * side + Math.min(side - 1, Math.floor(((x + 1) / 2) * side))]! += 1;
  }
  for (let pass = 0; pass < BLURS; pass++) grid = blurred(grid, side);
  return grid;
}

function blurred(grid: Float32Array, side: number): Float32Array<ArrayBuffer> {
  const next = new Float32Array(grid.length);
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      let sum = 0;
      for (let dr = -1; dr <= 1; dr++) {
        for (let dc = -1; dc <= 1; dc++) {
          const [r, c] = [row + dr, column + dc];
          if (r >= 0 && r < side && c >= 0 && c < side) sum += grid[r * side + c]! * (dr === 0 ? 2 : 1) * (dc === 0 ? 2 : 1);
        }
      }
      next[row * side + column] = sum / 16;
    }
  }
  return next;
}

/** Densities below which the given shares of all points lie. */
export function levels(grid: Float32Array, shares: readonly number[] = LEVELS): number[] {
  const ascending = [...grid].filter((value) => value > 0).sort((a, b) => a - b);
  const total = ascending.reduce((sum, value) => sum + value, 0);
  const found: number[] = [];
  let seen = 0;
  for (const value of ascending) {
    seen += value;
    while (found.length < shares.length && seen >= shares[found.length]! * total) found.push(value);
  }
  return found;
}

/** Segments [x0, y0, x1, y1, ...] in [-1, 1] where the density crosses a level. */
export function segments(grid: Float32Array, level: number, side: number = SIDE): number[] {
  const found: number[] = [];
  const place = (cell: number) => ((cell + 0.5) / side) * 2 - 1;
  for (let row = 0; row + 1 < side; row++) {
    for (let column = 0; column + 1 < side; column++) {
      const corners = [grid[row * side + column]!, grid[row * side + column + 1]!, grid[(row + 1) * side + column + 1]!, grid[(row + 1) * side + column]!];
      const at: [number, number][] = [
        [column, row],
        [column + 1, row],
        [column + 1, row + 1],
        [column, row + 1],
      ];
      const crossings: [number, number][] = [];
      for (let side_ = 0; side_ < 4; side_++) {
        const [a, b] = [corners[side_]!, corners[(side_ + 1) % 4]!];
        if (a >= level === b >= level) continue;
        const part = (level - a) / (b - a);
        const [from, to] = [at[side_]!, at[(side_ + 1) % 4]!];
        crossings.push([from[0] + part * (to[0] - from[0]), from[1] + part * (to[1] - from[1])]);
      }
      for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
        const [from, to] = [crossings[pair]!, crossings[pair + 1]!];
        found.push(place(from[0]), place(from[1]), place(to[0]), place(to[1]));
      }
    }
  }
  return found;
}

const SVG = "http://www.w3.org/2000/svg";

export class Contours {
  on = false;
  private readonly svg = document.createElementNS(SVG, "svg");
  private lines: number[][] = [];

  constructor(private readonly map: ScatterMap) {
    this.svg.setAttribute("class", "contours");
    this.svg.setAttribute("aria-hidden", "true");
    map.holder.append(this.svg);
  }

  toggle(): void {
    this.on = !this.on;
    this.refresh();
  }

  refresh(): void {
    this.lines = [];
    if (this.on) {
      const grid = density(this.map.plot.unit, this.map.mask);
      this.lines = levels(grid).map((level) => segments(grid, level));
    }
    this.place();
  }

  place(): void {
    const { plot } = this.map;
    this.svg.replaceChildren(
      ...this.lines.map((line) => {
        const parts: string[] = [];
        for (let i = 0; i < line.length; i += 4) {
          const [x0, y0] = plot.toScreen(line[i]!, line[i + 1]!);
          const [x1, y1] = plot.toScreen(line[i + 2]!, line[i + 3]!);
          parts.push(`M${x0.toFixed(1)} ${y0.toFixed(1)}L${x1.toFixed(1)} ${y1.toFixed(1)}`);
        }
        const path = document.createElementNS(SVG, "path");
        path.setAttribute("d", parts.join(""));
        return path;
      }),
    );
  }
}

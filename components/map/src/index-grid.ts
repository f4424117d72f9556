// Finds points by place: a uniform grid over the coordinates, built by one counting sort (about 30 ms for a million).

type Keep = ((point: number) => boolean) | null;

export class PointGrid {
  private readonly side: number;
  private readonly starts: Uint32Array;
  private readonly order: Uint32Array;

  /** `xy` holds interleaved coordinates in [-1, 1]. */
  constructor(private readonly xy: Float32Array) {
    const n = xy.length >> 1;
    this.side = Math.max(1, Math.min(1024, Math.ceil(Math.sqrt(n / 3))));
    this.starts = new Uint32Array(this.side * this.side + 1);
    const cells = new Uint32Array(n);
    for (let i = 0; i < n; i++) {
      cells[i] = this.cell(xy[2 * i]!, xy[2 * i + 1]!);
      this.starts[cells[i]! + 1]!++;
    }
    for (let c = 0; c < this.side * this.side; c++) this.starts[c + 1]! += this.starts[c]!;
    const next = this.starts.slice(0, -1);
    this.order = new Uint32Array(n);
    for (let i = 0; i < n; i++) this.order[next[cells[i]!]!++] = i;
  }

  private bin(v: number): number {
    return Math.max(0, Math.min(this.side - 1, Math.floor(((v + 1) / 2) * this.side)));
  }

  private cell(x: number, y: number): number {
    return this.bin(y) * this.side + this.bin(x);
  }

  /** Calls `each(i)` for every point whose cell touches the box. */
  within(x0: number, y0: number, x1: number, y1: number, each: (point: number) => void): void {
    const [c0, c1] = [this.bin(x0), this.bin(x1)];
    for (let row = this.bin(y0); row <= this.bin(y1); row++) {
      const stop = this.starts[row * this.side + c1 + 1]!;
      for (let k = this.starts[row * this.side + c0]!; k < stop; k++) each(this.order[k]!);
    }
  }

  /** Index of the point nearest to (x, y) within (rx, ry), or -1; `prefer` wins ties of near points. */
  nearest(x: number, y: number, rx: number, ry: number, prefer: Keep = null): number {
    let best = -1;
    let least = 1;
    this.within(x - rx, y - ry, x + rx, y + ry, (i) => {
      const dx = (this.xy[2 * i]! - x) / rx;
      const dy = (this.xy[2 * i + 1]! - y) / ry;
      const distance = dx * dx + dy * dy + (prefer && !prefer(i) ? 0.5 : 0);
      if (distance < least) {
        least = distance;
        best = i;
      }
    });
    return best;
  }

  /**
   * The busiest places of a box: it is cut into tiles, and of the fullest ones that do not touch each other the point
   * nearest to the tile's middle of mass is taken.
   */
  peaks(x0: number, y0: number, x1: number, y1: number, columns: number, rows: number, most: number, keep: Keep = null): { points: number[]; total: number } {
    const counts = new Uint32Array(columns * rows);
    const sums = new Float64Array(columns * rows * 2);
    const tile = (i: number) => {
      const [x, y] = [this.xy[2 * i]!, this.xy[2 * i + 1]!];
      if (x < x0 || x >= x1 || y < y0 || y >= y1) return -1;
      return Math.floor(((y - y0) / (y1 - y0)) * rows) * columns + Math.floor(((x - x0) / (x1 - x0)) * columns);
    };
    let total = 0;
    this.within(x0, y0, x1, y1, (i) => {
      const t = tile(i);
      if (t < 0 || (keep && !keep(i))) return;
      total++;
      counts[t]!++;
      sums[2 * t]! += this.xy[2 * i]!;
      sums[2 * t + 1]! += this.xy[2 * i + 1]!;
    });
    const chosen = spread(counts, columns, most);
    const [rx, ry] = [(x1 - x0) / columns, (y1 - y0) / rows];
    const points = chosen
      .map((t) => this.nearest(sums[2 * t]! / counts[t]!, sums[2 * t + 1]! / counts[t]!, rx, ry, keep))
      .filter((i) => i >= 0);
    return { points, total };
  }
}

/** The fullest tiles, fullest first, no two of them touching. */
function spread(counts: Uint32Array, columns: number, most: number): number[] {
  const order = [...counts.keys()].filter((t) => counts[t]! > 0).sort((a, b) => counts[b]! - counts[a]!);
  const chosen: number[] = [];
  for (const t of order) {
    if (chosen.length >= most) break;
    const [row, column] = [Math.floor(t / columns), t % columns];
    const touches = (c: number) => Math.abs(Math.floor(c / columns) - row) <= 1 && Math.abs((c % columns) - column) <= 1;
    if (!chosen.some(touches)) chosen.push(t);
  }
  return chosen;
}

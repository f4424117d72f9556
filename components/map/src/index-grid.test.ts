import { describe, expect, test } from "vitest";
import { PointGrid } from "./index-grid";

/** Numbers in [0, 1) that are the same at each run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
}

/** Half of the points anywhere, half in one crowd. */
function points(n: number, seed: number): Float32Array {
  const next = numbers(seed);
  return Float32Array.from({ length: 2 * n }, (_, i) => (i < n ? 2 * next() - 1 : 0.4 + 0.1 * next()));
}

/** The nearest point by looking at each; a point that is not preferred lies 0.5 further (in squared radii). */
function nearest(xy: Float32Array, x: number, y: number, rx: number, ry: number, prefer: (i: number) => boolean): number {
  const far = (i: number) => ((xy[2 * i]! - x) / rx) ** 2 + ((xy[2 * i + 1]! - y) / ry) ** 2 + (prefer(i) ? 0 : 0.5);
  const near = [...Array(xy.length / 2).keys()].filter((i) => far(i) < 1);
  return near.length ? near.reduce((best, i) => (far(i) < far(best) ? i : best)) : -1;
}

describe("nearest", () => {
  test.each([1, 7, 300, 5000])("is the one that looking at each of %i points finds, with and without a preference", (n) => {
    const xy = points(n, n);
    const grid = new PointGrid(xy);
    const next = numbers(99);
    let found = 0;
    for (let turn = 0; turn < 120; turn++) {
      // Anywhere, also beyond the map's edges, and close to a point.
      const at = turn % n;
      const [x, y] = turn % 2 ? [2.4 * next() - 1.2, 2.4 * next() - 1.2] : [xy[2 * at]! + 0.02 * next(), xy[2 * at + 1]! + 0.02 * next()];
      const [rx, ry] = [0.01 + 0.2 * next(), 0.01 + 0.2 * next()];
      expect(grid.nearest(x, y, rx, ry)).toBe(nearest(xy, x, y, rx, ry, () => true));
      const prefer = (i: number) => i % 3 === 0;
      expect(grid.nearest(x, y, rx, ry, prefer)).toBe(nearest(xy, x, y, rx, ry, prefer));
      if (grid.nearest(x, y, rx, ry) >= 0) found++;
    }
    expect(found).toBeGreaterThan(0);
  });
  test("a point without a place, far outside, is not found and hides none", () => {
    const grid = new PointGrid(Float32Array.from([1e6, 1e6, 0.99, 0.99]));
    expect(grid.nearest(1, 1, 0.05, 0.05)).toBe(1);
    expect(grid.nearest(0, 0, 0.05, 0.05)).toBe(-1);
  });
});

test("within calls for every point in the box, for each once", () => {
  const xy = points(2000, 5);
  const seen: number[] = [];
  new PointGrid(xy).within(-0.3, 0.1, 0.5, 0.45, (i) => seen.push(i));
  const inside = [...Array(2000).keys()].filter((i) => xy[2 * i]! >= -0.3 && xy[2 * i]! <= 0.5 && xy[2 * i + 1]! >= 0.1 && xy[2 * i + 1]! <= 0.45);
  expect(inside.length).toBeGreaterThan(500);
  expect(new Set(seen).size).toBe(seen.length);
  expect(inside.filter((i) => !seen.includes(i))).toEqual([]);
});

describe("peaks", () => {
  const xy = points(2000, 8);
  const grid = new PointGrid(xy);
  const tile = (i: number) => [Math.floor((xy[2 * i + 1]! + 1) * 5), Math.floor((xy[2 * i]! + 1) * 5)] as const;

  test("the fullest tile is first, no two touch, and there are no more than wanted", () => {
    const { points: found, total } = grid.peaks(-1, -1, 1, 1, 10, 10, 6);
    expect(total).toBe(2000);
    expect(found).toHaveLength(6);
    const counts = new Map<string, number>();
    for (let i = 0; i < 2000; i++) counts.set(tile(i).join(), (counts.get(tile(i).join()) ?? 0) + 1);
    expect(counts.get(tile(found[0]!).join())).toBe(Math.max(...counts.values()));
    found.forEach((a, at) =>
      found.slice(at + 1).forEach((b) => {
        const [[row, column], [other, beside]] = [tile(a), tile(b)];
        expect(Math.max(Math.abs(row - other), Math.abs(column - beside))).toBeGreaterThan(1);
      }),
    );
  });
  test("only points in the box and to be kept count", () => {
    const keep = (i: number) => i % 2 === 1;
    const { points: found, total } = grid.peaks(-1, -1, 0, 0, 5, 5, 6, keep);
    expect(total).toBe([...Array(2000).keys()].filter((i) => keep(i) && xy[2 * i]! < 0 && xy[2 * i + 1]! < 0).length);
    expect(found.length).toBeGreaterThan(0);
    expect(found.every(keep)).toBe(true);
  });
});

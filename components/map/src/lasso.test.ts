import { describe, expect, test } from "vitest";
import type { RegionItem } from "../../workbench/src/protocol";
import { extent, joined, thinned } from "./lasso";
import type { Point } from "./types";

/** Whether a closed path goes round a point: how often a ray to the right crosses it. */
function inside(path: readonly Point[], [x, y]: Point): boolean {
  let crossed = 0;
  path.forEach(([x0, y0], i) => {
    const [x1, y1] = path[(i + 1) % path.length]!;
    if (y0 > y !== y1 > y && x < x0 + ((y - y0) / (y1 - y0)) * (x1 - x0)) crossed++;
  });
  return crossed % 2 === 1;
}

const region = (op: RegionItem["op"], at: number): RegionItem => ({ kind: "lasso", op, polygon: [at, 0, at + 1, 0, at, 1] });

describe("thinned", () => {
  // A leaf with five lobes of 100 to 300 px, drawn in steps of less than 2 px.
  const path = Array.from({ length: 2501 }, (_, i): Point => {
    const turn = (2 * Math.PI * i) / 2501;
    const far = 200 + 100 * Math.cos(5 * turn);
    return [400 + far * Math.cos(turn), 300 + far * Math.sin(turn)];
  });
  test("a short path keeps every corner, a long one at most as many as are wanted", () => {
    expect(thinned(path.slice(0, 600))).toEqual(path.slice(0, 600));
    expect(thinned(path).length).toBeLessThanOrEqual(600);
    expect(thinned(path).length).toBeGreaterThan(300);
    expect(thinned(path, 10).length).toBeLessThanOrEqual(10);
    expect(thinned(path)[0]).toBe(path[0]);
  });
  test("a long path still goes round the same points, but for those within 2 px of it", () => {
    const short = thinned(path);
    let within = 0;
    for (let x = 60; x <= 740; x += 37) {
      for (let y = -20; y <= 620; y += 37) {
        if (path.some(([px, py]) => Math.hypot(px - x, py - y) < 2)) continue;
        const wanted = inside(path, [x, y]);
        expect(inside(short, [x, y])).toBe(wanted);
        if (wanted) within++;
      }
    }
    expect(within).toBeGreaterThan(60);
  });
});

describe("joined", () => {
  test("a new region takes the place of all; others come after", () => {
    const two = joined([region("new", 0)], region("add", 5));
    expect(two).toEqual([region("new", 0), region("add", 5)]);
    expect(joined(two, region("remove", 6))).toEqual([...two, region("remove", 6)]);
    expect(joined(two, region("new", 7))).toEqual([region("new", 7)]);
  });
  test("the first of a list is new, however it was drawn", () => {
    expect(joined([], region("add", 3))).toEqual([region("new", 3)]);
  });
});

test("the extent of a path is its longer side", () => {
  expect(extent([[3, 4], [5, 20], [-1, 8]])).toBe(16);
  expect(extent([[3, 4], [50, 20], [-1, 8]])).toBe(51);
  expect(extent([[3, 4]])).toBe(0);
});

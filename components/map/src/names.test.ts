import { describe, expect, test } from "vitest";
import { anchors, apart } from "./names";

/** Points of each code around its own centre. */
function blobs(centers: [number, number][], each: number): { codes: Uint16Array; unit: Float32Array } {
  const codes = new Uint16Array(centers.length * each);
  const unit = new Float32Array(2 * codes.length);
  for (let i = 0; i < codes.length; i++) {
    const code = i % centers.length;
    const turn = i * 2.4;
    codes[i] = code;
    unit[2 * i] = centers[code]![0] + 0.02 * Math.cos(turn);
    unit[2 * i + 1] = centers[code]![1] + 0.02 * Math.sin(turn);
  }
  return { codes, unit };
}

describe("anchors", () => {
  test("each stands where its points are densest", () => {
    const centers: [number, number][] = [[-0.55, 0.3], [0.62, -0.71], [0.95, 0.95]];
    const { codes, unit } = blobs(centers, 200);
    const found = anchors(codes, unit, 3);
    expect(found).toHaveLength(3);
    for (const { code, x, y, size } of found) {
      expect(Math.hypot(x - centers[code]![0], y - centers[code]![1])).toBeLessThan(0.05);
      expect(size).toBe(200);
    }
  });
  test("a few points far away do not pull a name from the crowd", () => {
    const codes = new Uint16Array(120);
    const unit = new Float32Array(240).fill(-0.5);
    for (let i = 100; i < 120; i++) unit.set([0.9, -0.9 + 0.09 * (i - 100)], 2 * i);
    const [only] = anchors(codes, unit, 1);
    expect([only!.x, only!.y]).toEqual([-0.5, -0.5]);
  });
  test("marked ones come first, then large ones", () => {
    const codes = Uint16Array.from([0, 0, 0, 1, 1, 2]);
    const unit = new Float32Array(12);
    expect(anchors(codes, unit, 3).map(({ code }) => code)).toEqual([0, 1, 2]);
    expect(anchors(codes, unit, 3, Uint8Array.from([0, 0, 0, 0, 0, 1])).map(({ code, marked }) => [code, marked])).toEqual([[2, 1], [0, 0], [1, 0]]);
  });
  test("codes beyond the categories, empty categories and points that lie nowhere have no name", () => {
    const codes = Uint16Array.from([0, 65535, 2, 2]);
    const unit = Float32Array.from([0, 0, 0, 0, NaN, 0, 7, 7]);
    expect(anchors(codes, unit, 3).map(({ code }) => code)).toEqual([0]);
  });
});

describe("apart", () => {
  const overlap = (a: { left: number; top: number; width: number }, b: typeof a, tall: number) => a.left < b.left + b.width && b.left < a.left + a.width && a.top < b.top + tall && b.top < a.top + tall;
  test("none stands over another, and the first is always there", () => {
    const boxes = Array.from({ length: 200 }, (_, i) => ({ left: (i * 37) % 400, top: (i * 53) % 300, width: 40 + (i % 5) * 20 }));
    const placed = apart(boxes, 20).filter((box) => box !== null);
    expect(placed[0]).toBe(boxes[0]);
    expect(placed.length).toBeGreaterThan(20);
    placed.forEach((a, at) => placed.slice(at + 1).forEach((b) => expect(overlap(a, b, 20)).toBe(false)));
  });
  test("each that is left out would have stood over one that is there", () => {
    const boxes = [{ left: 0, top: 0, width: 50 }, { left: 40, top: 10, width: 50 }, { left: 100, top: 0, width: 50 }];
    expect(apart(boxes, 20)).toEqual([boxes[0], null, boxes[2]]);
  });
});

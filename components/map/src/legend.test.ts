import { describe, expect, test } from "vitest";
import { MISSING } from "./colors";
import { rowsOf } from "./legend";
import type { LegendItem } from "./types";

const LEGEND: LegendItem[] = [["few", "#111111", false], ["noise", "#222222", true], ["many", "#333333", false], ["empty", "#444444", false], ["some", "#555555", false]];
const codes = Uint16Array.from([0, ...Array(9).fill(1), ...Array(6).fill(2), ...Array(3).fill(4)]);

const names = (mask: Uint8Array | null) => rowsOf(LEGEND, "#999999", codes, mask).map(({ name }) => name);

describe("rowsOf", () => {
  test("larger ones come first, grey ones last, and those without points not at all", () => {
    expect(names(null)).toEqual(["many", "some", "few", "noise"]);
  });
  test("with a highlight those with more of it come first, then larger ones", () => {
    const mask = new Uint8Array(codes.length);
    mask.fill(1, 1, 10); // all of the noise stays last
    mask[0] = 1;
    expect(names(mask)).toEqual(["few", "many", "some", "noise"]);
    mask.fill(1, 16); // three of "some"
    expect(names(mask)).toEqual(["some", "few", "many", "noise"]);
  });
  test("ones that are equal stay in the order of their codes", () => {
    const legend: LegendItem[] = ["c", "a", "b"].map((name) => [name, "#111111", false]);
    expect(rowsOf(legend, "#999999", Uint16Array.from([2, 1, 0, 0, 1, 2]), null).map(({ name }) => name)).toEqual(["c", "a", "b"]);
  });
  test("each says how many it has, and grey ones have the colour of noise", () => {
    const mask = Uint8Array.from(codes, (_, i) => Number(i % 2));
    const rows = rowsOf(LEGEND, "#999999", codes, mask);
    for (const { code, total, marked } of rows) {
      const own = [...codes.keys()].filter((i) => codes[i] === code);
      expect([total, marked]).toEqual([own.length, own.filter((i) => mask[i]).length]);
    }
    expect(rows.map(({ name, color }) => [name, color])).toContainEqual(["noise", "#999999"]);
  });
  test("points of no category are one row, unless the legend has a grey one", () => {
    const plain: LegendItem[] = [["a", "#111111", false]];
    const some = Uint16Array.from([0, MISSING, MISSING]);
    expect(rowsOf(plain, "#999999", some, null).map(({ name, code, total }) => [name, code, total])).toEqual([["a", 0, 1], ["none", -1, 2]]);
    expect(rowsOf([...plain, ["noise", "", true]], "#999999", Uint16Array.from([0, 1, MISSING]), null).map(({ name }) => name)).toEqual(["a", "noise"]);
  });
});

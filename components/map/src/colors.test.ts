import { describe, expect, test } from "vitest";
import { type Colored, colorPoints, countCodes, MISSING, ramp, unpackBits } from "./colors";

const GIVEN: Colored = { n: 4, codes: null, range: null, legend: [], palette: ["#111111", "#222222", "#333333"], noise: "#999999", rampColors: ["#000000", "#ff8000"], accent: "#2f6fed" };

/** The colour that each of the points is drawn in. */
function drawn(given: Partial<Colored>): string[] {
  const { list, index } = colorPoints({ ...GIVEN, ...given });
  return [...index].map((at) => list[at]!);
}

describe("ramp", () => {
  test("begins and ends with the given colours and goes straight from each to the next", () => {
    const channels = (hex: string) => [hex.slice(1, 3), hex.slice(3, 5), hex.slice(5)].map((part) => Number(`0x${part}`));
    const stops = ["#102030", "#ff0080", "#00ff10"];
    const made = ramp(stops, 21);
    expect([made[0], made[10], made[20]]).toEqual(stops);
    for (let i = 0; i < 21; i++) {
      const [from, to] = i < 10 ? [stops[0]!, stops[1]!] : [stops[1]!, stops[2]!];
      const part = (i % 10) / 10;
      if (i === 20) continue;
      const wanted = channels(from).map((low, k) => low * (1 - part) + channels(to)[k]! * part);
      channels(made[i]!).forEach((value, k) => expect(Math.abs(value - wanted[k]!)).toBeLessThanOrEqual(0.51));
    }
  });
});

describe("colorPoints", () => {
  test("without codes all points have the accent", () => {
    expect(drawn({})).toEqual(Array(4).fill("#2f6fed"));
  });
  test("codes take the palette in turn; noise is grey by code and by legend", () => {
    const legend: Colored["legend"] = [["a", "#111111", false], ["b", "#222222", false], ["noise", "#333333", true], ["d", "#111111", false]];
    expect(drawn({ n: 5, codes: Uint16Array.from([0, 1, 2, 3, MISSING]), legend })).toEqual(["#111111", "#222222", "#999999", "#111111", "#999999"]);
  });
  test("a legend with a colour of its own is followed", () => {
    const legend: Colored["legend"] = [["a", "#abcdef", false], ["b", "#222222", false], ["noise", "#333333", true]];
    expect(drawn({ codes: Uint16Array.from([0, 1, 2, MISSING]), legend })).toEqual(["#abcdef", "#222222", "#999999", "#999999"]);
  });
  test("values go from one end of the ramp to the other, and what has none is grey", () => {
    const found = drawn({ n: 5, codes: Uint16Array.from([0, 20000, 40000, 65534, MISSING]), range: [2, 9] });
    expect([found[0], found[3], found[4]]).toEqual(["#000000", "#ff8000", "#999999"]);
    const red = found.slice(0, 4).map((hex) => Number.parseInt(hex.slice(1, 3), 16));
    expect(red).toEqual([...red].sort((a, b) => a - b));
    expect(Math.abs(red[1]! - (255 * 20000) / 65534)).toBeLessThan(5);
  });
  test("the last two of the list are noise and what is not highlighted", () => {
    expect(colorPoints(GIVEN).list).toEqual(["#2f6fed", "#999999", "#999999"]);
    expect(colorPoints({ ...GIVEN, codes: new Uint16Array(4) }).list.slice(-2)).toEqual(["#999999", "#999999"]);
  });
});

test("bits are read with the least significant first, as many as there are points", () => {
  expect([...unpackBits(Uint8Array.from([0b00000101, 0b11111110]), 10)]).toEqual([1, 0, 1, 0, 0, 0, 0, 0, 0, 1]);
});

test("codes are counted, all and highlighted ones; those beyond the categories together", () => {
  const codes = Uint16Array.from({ length: 500 }, (_, i) => (i % 7 === 0 ? MISSING : (i * i) % 5));
  const mask = Uint8Array.from({ length: 500 }, (_, i) => Number(i % 3 === 0));
  const { totals, marked } = countCodes(codes, mask, 4);
  const rows = [...codes.keys()];
  for (let code = 0; code <= 4; code++) {
    const own = rows.filter((i) => (code < 4 ? codes[i] === code : codes[i]! >= 4));
    expect(totals[code]).toBe(own.length);
    expect(marked[code]).toBe(own.filter((i) => mask[i]).length);
  }
  expect([...countCodes(codes, null, 4).marked]).toEqual([0, 0, 0, 0, 0]);
});

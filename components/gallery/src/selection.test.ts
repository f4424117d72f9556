import { describe, expect, test } from "vitest";
import { Selection } from "./selection";

/** Numbers in [0, 1) that are the same in every run. */
function dice(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 16807) % 2147483647) / 2147483647;
}

function made(n: number, chosen: (at: number) => boolean): Selection {
  const found = new Selection(n);
  for (let at = 0; at < n; at++) if (chosen(at)) found.set(at, true);
  return found;
}

/** In how many places two selections of one size differ. */
function differing(one: Selection, other: Selection): number {
  let found = Math.abs(one.size - other.size);
  for (let at = 0; at < one.size; at++) if (one.has(at) !== other.has(at)) found++;
  return found;
}

describe("the wire form", () => {
  test.each([
    ["none", 100, () => false, "none"],
    ["all", 100, () => true, "all_but"],
    ["one piece", 100_000, (at: number) => at > 30 && at < 60_000, "ranges"],
    ["all but two", 100_000, (at: number) => at !== 5 && at !== 70_000, "all_but"],
    ["every other one", 100_000, (at: number) => at % 2 === 0, "bits"],
    ["one", 1, () => true, "all_but"],
    ["no images at all", 0, () => true, "none"],
  ] as const)("of %s comes back as it was", (_, n, chosen, kind) => {
    const before = made(n, chosen);
    const said = JSON.parse(JSON.stringify(before.encode()));
    expect(said.k).toBe(kind);
    const after = new Selection(n);
    after.decode(said);
    expect(differing(after, before)).toBe(0);
    expect(after.count).toBe(before.count);
  });
  test("of many random selections of many sizes comes back as it was", () => {
    const roll = dice(3);
    for (let round = 0; round < 40; round++) {
      const n = 1 + Math.floor(roll() * 12_000);
      const share = roll();
      const before = made(n, () => roll() < share);
      const after = made(n, () => roll() < 0.5);
      after.decode(JSON.parse(JSON.stringify(before.encode())));
      expect(differing(after, before)).toBe(0);
      expect(after.count).toBe(before.mask.reduce((sum, one) => sum + one, 0));
    }
  });
  test("is short for what a person selects: a million but one in under 60 letters", () => {
    expect(JSON.stringify(made(1_000_000, (at) => at !== 17).encode()).length).toBeLessThan(60);
  });
  test("says that images were selected together only where there are some", () => {
    const found = new Selection(4);
    found.decode({ k: "ranges", r: [0, 2], g: true });
    expect(found.together).toBe(true);
    found.decode({ k: "none", g: true });
    expect(found.together).toBe(false);
  });
});

describe("Selection", () => {
  test("counts what is selected, however it came about", () => {
    const found = new Selection(10);
    found.range(7, 3);
    expect(found.count).toBe(5);
    found.range(5, 99);
    expect(found.count).toBe(7);
    found.set(3, true);
    found.set(4, false);
    expect(found.count).toBe(6);
    found.range(0, 9, false);
    expect(found.count).toBe(0);
    found.all();
    expect([found.count, found.together]).toEqual([10, true]);
    found.copy(Uint8Array.from([1, 0, 0, 1, 0, 0, 0, 0, 0, 1]));
    expect([found.count, found.together]).toEqual([3, false]);
    found.clear();
    expect(found.count).toBe(0);
  });
  test("follows the images into another order and drops those that are gone", () => {
    const before = Int32Array.from([4, 9, 2, 7]);
    const found = made(4, (at) => at === 1 || at === 2);
    found.together = true;
    const after = found.moved(before, Int32Array.from([2, 8, 7, 4]));
    expect([...after.mask]).toEqual([1, 0, 0, 0]);
    expect([after.count, after.together]).toEqual([1, true]);
    expect(new Selection(4).moved(before, before).count).toBe(0);
  });
});

test("within counts what is selected between two places, also past the ends", () => {
  const found = made(10, (at) => at % 3 === 0); // 0, 3, 6, 9
  expect(found.within(0, 10)).toBe(4);
  expect(found.within(1, 7)).toBe(2);
  expect(found.within(-5, 1)).toBe(1);
  expect(found.within(7, 99)).toBe(1);
  expect(made(10, () => false).within(0, 10)).toBe(0);
});

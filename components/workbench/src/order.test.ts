import { describe, expect, test } from "vitest";
import { clicked, kept, sorted, UNSORTED } from "./order";
import type { GroupItem } from "./protocol";

function item(id: number, size: number, more: Partial<GroupItem> = {}): GroupItem {
  return { id, title: `Cluster ${id}`, size, named: false, quality: null, color: id, looks: [], note: "", why: "", ...more };
}

const ITEMS = [
  item(0, 5, { quality: 0.3 }),
  item(10, 9, { named: true, title: "shoe", quality: 0.1 }),
  item(2, 9, { quality: 0.5 }),
  item(UNSORTED, 99, { title: "Unsorted" }),
  item(4, 1, { named: true, title: "Bag" }),
];

describe("sorted", () => {
  test.each([
    ["size", [2, 10, 0, 4, UNSORTED]],
    ["name", [4, 0, 2, 10, UNSORTED]],
    ["unnamed", [2, 0, 10, 4, UNSORTED]],
    ["quality", [10, 0, 2, 4, UNSORTED]],
    ["no such order", [2, 10, 0, 4, UNSORTED]],
  ])("by %s, what is in no group last", (by, ids) => {
    expect(sorted(ITEMS, by)).toEqual(ids);
  });
  test("numbers in names count as numbers", () => {
    expect(sorted([item(10, 1), item(9, 1), item(100, 1)], "name")).toEqual([9, 10, 100]);
  });
  test("the items given are left as they are", () => {
    const given = [...ITEMS];
    sorted(given, "name");
    expect(given).toEqual(ITEMS);
  });
});

describe("kept", () => {
  const ids = (items: GroupItem[]) => items.map(({ id }) => id);
  test("each keeps its place although it was named or became smaller", () => {
    const order = sorted(ITEMS, "size");
    const later = ITEMS.map((one) => (one.id === 2 ? { ...one, size: 1, named: true } : one));
    expect(ids(kept(later, order, "size"))).toEqual(order);
  });
  test("those that are gone leave no gap, new ones follow before what is in no group", () => {
    const later = [...ITEMS.filter(({ id }) => id !== 10), item(20, 3), item(21, 50)];
    expect(ids(kept(later, sorted(ITEMS, "size"), "size"))).toEqual([2, 0, 4, 21, 20, UNSORTED]);
  });
  test("every item is there exactly once, whatever order was kept", () => {
    for (const order of [[], [77, 4], [UNSORTED, 0], [0, 10, 2, UNSORTED, 4]]) {
      expect(ids(kept(ITEMS, order, "name")).toSorted((a, b) => a - b)).toEqual([UNSORTED, 0, 2, 4, 10]);
      expect(ids(kept(ITEMS, order, "name")).at(-1)).toBe(UNSORTED);
    }
  });
});

describe("clicked", () => {
  const ids = [5, 3, 8, 1];
  const plain = { toggle: false, range: false };
  test("one alone, and again to let it go", () => {
    expect(clicked([], ids, 3, null, plain)).toEqual([3]);
    expect(clicked([5, 8], ids, 3, 5, plain)).toEqual([3]);
    expect(clicked([3], ids, 3, 3, plain)).toEqual([]);
    expect(clicked([3, 8], ids, 3, 3, plain)).toEqual([3]);
  });
  test("Ctrl adds one and takes one away", () => {
    expect(clicked([5], ids, 1, 5, { toggle: true, range: false })).toEqual([5, 1]);
    expect(clicked([5, 1], ids, 5, 1, { toggle: true, range: false })).toEqual([1]);
  });
  test("Shift takes all between, in either direction", () => {
    expect(clicked([3], ids, 1, 3, { toggle: false, range: true })).toEqual([3, 8, 1]);
    expect(clicked([1], ids, 3, 1, { toggle: false, range: true })).toEqual([3, 8, 1]);
  });
  test("Shift without a beginning, or with one that is filtered away, is a plain click", () => {
    expect(clicked([], ids, 8, null, { toggle: false, range: true })).toEqual([8]);
    expect(clicked([], ids, 8, 99, { toggle: false, range: true })).toEqual([8]);
  });
});

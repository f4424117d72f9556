import { describe, expect, test } from "vitest";
import { modeOf, type PaneName, shownPanes, widths } from "./panes";

const EXPLORE: PaneName[] = ["groups", "map", "gallery"];
const LABEL: PaneName[] = ["groups", "gallery", "inspector"];
const SPLITTER = 7;
const LEAST = { groups: 168, map: 260, gallery: 300, inspector: 248 };

describe("modeOf", () => {
  test("one pane in a narrow window, two in a middling one, all in a wide one", () => {
    expect([360, 739, 740, 979, 980, 1900].map((width) => modeOf(width, 3))).toEqual(["one", "one", "two", "two", "wide", "wide"]);
  });
  test("two panes stand side by side as soon as two fit, and one is never a choice", () => {
    expect([500, 740, 1200].map((width) => modeOf(width, 2))).toEqual(["one", "wide", "wide"]);
    expect(modeOf(320, 1)).toBe("wide");
  });
});

describe("widths", () => {
  test.each([980, 1100, 1440, 1920, 3840])("fill %i px exactly, none below its least", (width) => {
    for (const shown of [EXPLORE, LABEL]) {
      const found = widths(shown, {}, width);
      expect(found.reduce((sum, each) => sum + each, 0)).toBe(width - SPLITTER * (shown.length - 1));
      found.forEach((each, at) => expect(each).toBeGreaterThanOrEqual(LEAST[shown[at]!]));
    }
  });
  test("what the person gave a pane is kept where there is room", () => {
    const [groups, map, gallery] = widths(EXPLORE, { groups: 300, map: 500 }, 1440) as [number, number, number];
    expect([groups, map]).toEqual([300, 500]);
    expect(gallery).toBe(1440 - 2 * SPLITTER - 800);
  });
  test("a pane that is too wide gives way before the gallery falls below its least", () => {
    const found = widths(LABEL, { groups: 900, inspector: 300 }, 1000);
    expect(found[1]).toBe(300);
    expect(found[0]).toBeLessThan(900);
    expect(found[2]).toBe(300);
  });
  test("a map that nobody resized shares the rest with the gallery, at any width", () => {
    for (const width of [1100, 1440, 1920]) {
      const [, map, gallery] = widths(EXPLORE, {}, width) as [number, number, number];
      expect(Math.abs(map - gallery)).toBeLessThan(0.1 * width);
    }
  });
  test("one pane takes everything, and without the gallery the last one does", () => {
    expect(widths(["map"], {}, 700)).toEqual([700]);
    expect(widths(["groups", "map"], { groups: 200, map: 100 }, 900)).toEqual([200, 900 - SPLITTER - 200]);
  });
  test("no width is negative, however narrow", () => {
    for (const width of [0, 5, 40, 300]) expect(Math.min(...widths(LABEL, {}, width))).toBeGreaterThanOrEqual(0);
  });
});

describe("shownPanes", () => {
  test("all of them where there is room", () => {
    expect(shownPanes(EXPLORE, "wide", "map")).toEqual(EXPLORE);
  });
  test("the gallery beside the chosen one, in the usual order", () => {
    expect(shownPanes(EXPLORE, "two", "groups")).toEqual(["groups", "gallery"]);
    expect(shownPanes(LABEL, "two", "inspector")).toEqual(["gallery", "inspector"]);
  });
  test("map or details stand beside the gallery until another is chosen, and where the chosen one is not there", () => {
    for (const chosen of [null, "gallery"] as const) expect(shownPanes(EXPLORE, "two", chosen)).toEqual(["map", "gallery"]);
    expect(shownPanes(LABEL, "two", "map")).toEqual(["gallery", "inspector"]);
    expect(shownPanes(["groups", "gallery"], "two", null)).toEqual(["groups", "gallery"]);
  });
  test("one alone, the gallery where the chosen one is not there", () => {
    expect(shownPanes(EXPLORE, "one", "map")).toEqual(["map"]);
    expect(shownPanes(LABEL, "one", "map")).toEqual(["gallery"]);
    expect(shownPanes(LABEL, "one", null)).toEqual(["gallery"]);
  });
});

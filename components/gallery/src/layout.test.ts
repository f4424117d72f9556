import { describe, expect, test } from "vitest";
import { GAP, held, MAX_CELLS, MAX_HEIGHT, measure, OVERSCAN, Scroll } from "./layout";

describe("measure", () => {
  test("cells fill the width, no smaller than was asked for, and hold every image", () => {
    for (const width of [200, 440, 700, 1200]) {
      for (const n of [0, 1, 7, 1000]) {
        const grid = measure(n, width, 600, 96);
        expect(grid.columns * grid.pitch + GAP).toBeCloseTo(width, 6);
        expect(grid.side).toBeGreaterThanOrEqual(96);
        expect(grid.rows).toBe(Math.ceil(n / grid.columns));
        expect(grid.total).toBeCloseTo(grid.rows * grid.pitch + GAP, 6);
      }
    }
  });
  test("no more cells exist than MAX_CELLS, on any screen", () => {
    for (const [width, height] of [[1440, 900], [3840, 2160], [7680, 4320]] as const) {
      const { columns, pitch } = measure(1_000_000, width, height, 72);
      expect(columns * (Math.ceil(height / pitch) + 1 + 2 * OVERSCAN)).toBeLessThanOrEqual(MAX_CELLS);
    }
  });
  test("a grid narrower than one cell has one column", () => {
    expect(measure(5, 60, 400, 96).columns).toBe(1);
  });
  test("the scroll bar stops growing at MAX_HEIGHT", () => {
    expect(measure(10_000_000, 600, 800, 96).space).toBe(MAX_HEIGHT);
    expect(measure(1000, 600, 800, 96).space).toBeLessThan(MAX_HEIGHT);
  });
});

function scrolled(n: number, height = 800): Scroll {
  const element = { clientHeight: height, scrollTop: 0 };
  const scroll = new Scroll(element as unknown as HTMLElement);
  scroll.grid = measure(n, 600, height, 96);
  scroll.to(0);
  return scroll;
}

describe("Scroll", () => {
  test("is the scroll bar itself while everything fits", () => {
    const scroll = scrolled(1000);
    scroll.to(500);
    expect([scroll.top, scroll.element.scrollTop, scroll.shift]).toEqual([500, 500, 0]);
    scroll.element.scrollTop = 730;
    scroll.moved();
    expect(scroll.top).toBe(730);
  });
  test("stays within the grid", () => {
    const scroll = scrolled(1000);
    scroll.to(-40);
    expect(scroll.top).toBe(0);
    scroll.to(1e9);
    expect(scroll.top).toBe(scroll.furthest);
    expect(scroll.rows()[1]).toBe(scroll.grid.rows);
  });
  test("of ten million images reaches the last row by the scroll bar, and each row by steps", () => {
    const scroll = scrolled(10_000_000);
    expect(scroll.scaled).toBe(true);
    scroll.element.scrollTop = MAX_HEIGHT - 800;
    scroll.moved();
    expect(scroll.top).toBeCloseTo(scroll.furthest, 0);
    expect(scroll.rows()[1]).toBe(scroll.grid.rows);
    scroll.to(1_000_000);
    scroll.moved(); // the event that `to` itself caused moves nothing
    expect(scroll.top).toBe(1_000_000);
    scroll.to(scroll.top + 30);
    expect(scroll.top).toBe(1_000_030);
  });
  test("places what is in view where the scroll bar stands", () => {
    const scroll = scrolled(10_000_000);
    scroll.to(2_000_000);
    expect(scroll.top + scroll.shift).toBe(scroll.element.scrollTop);
  });
});

describe("held", () => {
  const grid = { columns: 4, pitch: 100 };
  const before = Int32Array.from({ length: 80 }, (_, at) => at + 1);
  test("stays where it is while the order does", () => {
    expect(held(before, before, 730, grid)).toBe(730);
  });
  test("follows the first picture in view when rows above it go", () => {
    expect(held(before, before.slice(8), 730, grid)).toBe(530);
  });
  test("follows the next picture where the first in view is gone", () => {
    const first = Math.ceil(730 / 100) * 4;
    const without = before.filter((_, at) => at !== first);
    expect(held(before, without, 730, grid)).toBe(730);
  });
  test("stays where it is among images that are all others, and without a grid", () => {
    expect(held(before, Int32Array.from([900, 901]), 730, grid)).toBe(730);
    expect(held(before, before.slice(8), 730, null)).toBe(730);
  });
  test("the picture at the top stays at the top, whatever was taken away above", () => {
    for (let gone = 0; gone <= 28; gone += 4) {
      const top = held(before, before.slice(gone), 700, grid);
      expect(before.slice(gone)[(top / grid.pitch) * grid.columns]).toBe(before[28]);
    }
  });
});

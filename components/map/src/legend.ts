// The legend: categories with "47 / 412" while something is highlighted, or the ramp of a value.

import { count, h } from "../../shared/dom";
import { countCodes } from "./colors";
import type { ScatterMap } from "./map";
import type { LegendItem } from "./types";

const SHOWN = 300;

export interface Row {
  name: string;
  color: string;
  grey: boolean;
  code: number; // -1: points of no category
  total: number;
  marked: number;
}

/** The rows of a legend that have points: grey ones last, those with more highlighted points first, then larger ones. */
export function rowsOf(legend: readonly LegendItem[], noise: string, codes: Uint16Array, mask: Uint8Array | null): Row[] {
  const { totals, marked } = countCodes(codes, mask, legend.length);
  const rows: Row[] = legend.map(([name, color, grey], code) => ({ name, color: grey ? noise : color, grey, code, total: totals[code]!, marked: marked[code]! }));
  if (totals[legend.length]! > 0 && !rows.some((row) => row.grey)) {
    rows.push({ name: "none", color: noise, grey: true, code: -1, total: totals[legend.length]!, marked: marked[legend.length]! });
  }
  const listed = rows.filter((row) => row.total > 0);
  return listed.sort((a, b) => Number(a.grey) - Number(b.grey) || (mask ? b.marked - a.marked : 0) || b.total - a.total);
}

export class Legend {
  private readonly title = h("strong", { class: "title" });
  private readonly list = h("div", { class: "entries", role: "list" });
  readonly element = h("aside", { class: "legend", "aria-label": "Legend" }, this.title, this.list);

  constructor(private readonly map: ScatterMap) {}

  draw(): void {
    const { map } = this;
    const { legend, colorLabel, range, noise } = map.data;
    const listed = map.host && colorLabel === "cluster"; // the list of clusters beside the map is the legend
    this.element.classList.toggle("k-hidden", !map.codes || listed || (!range && legend.length === 0));
    this.title.textContent = colorLabel;
    this.title.classList.toggle("k-hidden", !colorLabel);
    if (!map.codes) return;
    if (range) this.drawRamp(range, map.data.ramp);
    else this.drawEntries(rowsOf(legend, noise, map.codes, map.mask));
  }

  private drawRamp([low, high]: [number, number], ramp: readonly string[]): void {
    const bar = h("div", { class: "ramp" });
    bar.style.background = `linear-gradient(90deg, ${ramp.join(",")})`;
    this.list.replaceChildren(bar, h("div", { class: "ends" }, h("span", {}, number(low)), h("span", {}, number(high))));
  }

  private drawEntries(listed: readonly Row[]): void {
    const { map } = this;
    this.list.replaceChildren(
      ...listed.slice(0, SHOWN).map((row) => {
        const dot = h("span", { class: "dot" });
        dot.style.background = row.color;
        const figure = map.mask ? `${count(row.marked)} / ${count(row.total)}` : count(row.total);
        return h(
          "button",
          { type: "button", role: "listitem", class: map.mask && row.marked === 0 ? "entry faint" : "entry", title: row.code >= 0 ? `${row.name} (${row.code})` : row.name, onclick: () => map.chooseCategory(row.code) },
          dot,
          h("span", { class: "name" }, row.name),
          h("span", { class: "figure" }, figure),
        );
      }),
    );
    if (listed.length > SHOWN) this.list.append(h("span", { class: "more" }, `and ${count(listed.length - SHOWN)} more`));
  }
}

function number(value: number): string {
  return Number.isInteger(value) ? count(value) : value.toPrecision(3);
}

// The legend: categories with "47 / 412" while something is highlighted, or the ramp of a value.

import { count, h } from "../../shared/dom";
import { countCodes } from "./colors.js";

const SHOWN = 300;

export class Legend {
  constructor(map) {
    this.map = map;
    this.title = h("strong", { class: "title" });
    this.list = h("div", { class: "entries", role: "list" });
    this.element = h("aside", { class: "legend", "aria-label": "Legend" }, this.title, this.list);
  }

  draw() {
    const { map } = this;
    const { legend, colorLabel, range, noise } = map.data;
    const values = range && map.codes;
    const listed = map.host && colorLabel === "cluster"; // the list of clusters beside the map is the legend
    this.element.classList.toggle("k-hidden", !map.codes || listed || (!values && legend.length === 0));
    this.title.textContent = colorLabel;
    this.title.classList.toggle("k-hidden", !colorLabel);
    if (!map.codes) return;
    if (values) this.drawRamp(range, map.data.ramp);
    else this.drawEntries(legend, noise);
  }

  drawRamp([low, high], ramp) {
    const bar = h("div", { class: "ramp" });
    bar.style.background = `linear-gradient(90deg, ${ramp.join(",")})`;
    this.list.replaceChildren(bar, h("div", { class: "ends" }, h("span", {}, number(low)), h("span", {}, number(high))));
  }

  drawEntries(legend, noise) {
    const { map } = this;
    const { totals, marked } = countCodes(map.codes, map.mask, legend.length);
    const rows = legend.map(([name, color, grey], code) => ({ name, color: grey ? noise : color, grey, code, total: totals[code], marked: marked[code] }));
    if (totals[legend.length] > 0 && !rows.some((row) => row.grey)) {
      rows.push({ name: "none", color: noise, grey: true, code: -1, total: totals[legend.length], marked: marked[legend.length] });
    }
    const listed = rows.filter((row) => row.total > 0);
    listed.sort((a, b) => a.grey - b.grey || (map.mask ? b.marked - a.marked : 0) || b.total - a.total);
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

function number(value) {
  return Number.isInteger(value) ? count(value) : value.toPrecision(3);
}

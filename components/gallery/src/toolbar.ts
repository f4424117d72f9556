// The bar above the grid: how many, which order, whole or cropped, how large, and the help.

import { count, h, icon, iconButton } from "../../shared/dom";
import type { Gallery } from "./gallery";

export class Toolbar {
  declare readonly element: HTMLElement;
  declare private readonly g: Gallery;
  declare private readonly text: HTMLElement;
  declare private readonly heading: HTMLElement;
  declare private readonly back: HTMLButtonElement;
  declare private readonly filter: HTMLSelectElement;
  declare private readonly order: HTMLSelectElement;
  declare private readonly refresh: HTMLButtonElement;
  declare private readonly fit: HTMLButtonElement;
  declare private readonly names: HTMLButtonElement;
  declare private readonly size: HTMLInputElement;

  constructor(g: Gallery) {
    this.g = g;
    this.text = h("span", { class: "count", role: "status", "aria-live": "polite" });
    this.heading = h("span", { class: "looked k-hidden" });
    this.back = h("button", { type: "button", class: "k-button k-hidden", onclick: () => g.tell("show_all", "") });
    this.filter = h("select", { class: "k-select k-hidden", "aria-label": "Who said the label", title: "Who said the label", onchange: () => g.tell("filter", this.filter.value) });
    this.order = h("select", { class: "k-select", "aria-label": "Order", title: "Order", onchange: () => g.setOrder(this.order.value) });
    this.refresh = h("button", { type: "button", class: "k-button k-hidden", title: "Images stay where they are while you work; this sorts them anew", onclick: () => g.refreshOrder() }, "Refresh order");
    this.fit = iconButton("crop", "Fill the cells (crop)", () => g.setFit(g.fit === "crop" ? "whole" : "crop"));
    this.names = iconButton("caption", "Names of the files (C)", () => g.setNamed(!g.named));
    this.size = h("input", { type: "range", min: 72, max: 264, step: 8, class: "slider", "aria-label": "Size of the pictures", title: "Size of the pictures" });
    this.size.addEventListener("input", () => g.setSize(Number(this.size.value)));
    this.element = h(
      "div",
      { class: "k-bar" },
      this.heading,
      this.text,
      this.back,
      h("span", { class: "k-space" }),
      this.refresh,
      this.filter,
      this.order,
      h("label", { class: "sizes", title: "Size of the pictures" }, icon("size"), this.size),
      this.names,
      this.fit,
      iconButton("help", "Keys (?)", () => g.showHelp()),
    );
  }

  draw(): void {
    const { g } = this;
    const all = g.heading ? count(g.n) : `${count(g.n)} ${g.label.toLowerCase()}`;
    this.text.textContent = g.selection.count ? `${count(g.selection.count)} of ${count(g.n)} selected` : all;
    this.size.value = String(g.size);
    this.fit.setAttribute("aria-pressed", String(g.fit === "crop"));
    this.names.setAttribute("aria-pressed", String(g.named));
    this.names.classList.toggle("k-hidden", !g.wantCaptions);
    this.order.classList.toggle("k-hidden", g.orders.length === 0);
    offer(this.order, g.orders, g.order);
    this.filter.classList.toggle("k-hidden", g.filters.length === 0);
    offer(this.filter, g.filters, g.filter);
    this.heading.textContent = g.heading;
    this.heading.title = g.heading;
    this.heading.classList.toggle("k-hidden", !g.heading);
    this.back.textContent = g.back;
    this.back.classList.toggle("k-hidden", !g.back);
    this.refresh.classList.toggle("k-hidden", !g.stale);
  }
}

function offer(menu: HTMLSelectElement, choices: readonly [string, string][], chosen: string): void {
  const wanted = JSON.stringify(choices);
  if (menu.dataset.choices !== wanted) {
    menu.dataset.choices = wanted;
    menu.replaceChildren(...choices.map(([value, title]) => h("option", { value }, title)));
  }
  menu.value = chosen;
}

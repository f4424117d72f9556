// The line below the grid: the labels of the number keys, to click and to put into another order, and the other keys.

import { h, iconButton } from "../../shared/dom";
import type { Gallery } from "./gallery";

export class Footer {
  declare readonly element: HTMLElement;
  declare private readonly g: Gallery;
  declare private readonly chips: HTMLElement;
  declare private readonly hints: HTMLElement;
  declare private drawn: string;
  declare private dragged: number | undefined;

  constructor(g: Gallery) {
    this.g = g;
    this.chips = h("span", { class: "chips", role: "list", "aria-label": "Labels of the number keys" });
    this.hints = h("span", { class: "hints" });
    this.element = h("div", { class: "footer k-hidden" }, this.chips, this.hints);
  }

  draw(): void {
    const { g } = this;
    const wanted = JSON.stringify([g.chips, g.hints]);
    if (this.drawn === wanted) return;
    this.drawn = wanted;
    this.element.classList.toggle("k-hidden", g.chips.length + g.hints.length === 0);
    this.chips.replaceChildren(...g.chips.map((name, at) => this.chip(name, at)));
    this.hints.replaceChildren(...g.hints.map(([key, words]) => h("span", {}, h("kbd", {}, key), words)));
  }

  private chip(name: string, at: number): HTMLElement {
    const { g } = this;
    const without = () => g.arrange(g.chips.filter((_, place) => place !== at));
    const use = h(
      "button",
      { type: "button", class: "use", title: `Label with “${name}”. Drag it to another key, or Alt + Left and Right; Delete takes it away.`, onclick: () => g.act("label", String(at + 1), g.focus) },
      h("kbd", {}, String(at + 1)),
      h("span", { class: "word" }, name),
    );
    const chip = h("span", { class: "chip", role: "listitem", draggable: "true" }, use, iconButton("close", `Take “${name}” off the keys`, without, { tabindex: "-1" }));
    chip.addEventListener("dragstart", (event) => {
      this.dragged = at;
      event.dataTransfer?.setData("text/plain", name);
    });
    chip.addEventListener("dragover", (event) => event.preventDefault());
    chip.addEventListener("drop", (event) => {
      event.preventDefault();
      if (this.dragged !== undefined && this.dragged !== at) this.move(this.dragged, at);
      this.dragged = undefined;
    });
    use.addEventListener("keydown", (event) => {
      const by = ({ ArrowLeft: -1, ArrowRight: 1 } as Record<string, number | undefined>)[event.key];
      if (event.altKey && by) at + by >= 0 && at + by < g.chips.length && this.move(at, at + by);
      else if (event.key === "Delete") without();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    return chip;
  }

  private move(from: number, to: number): void {
    const chips = [...this.g.chips];
    chips.splice(to, 0, ...chips.splice(from, 1));
    this.g.arrange(chips);
    (this.chips.children[to]?.firstChild as HTMLElement | undefined)?.focus();
  }
}

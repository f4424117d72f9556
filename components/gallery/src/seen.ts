// Which pictures were wholly on the screen; once all were, Python is told.

import type { Gallery } from "./gallery";
import { GAP } from "./layout";

export class Seen {
  declare private readonly g: Gallery;
  declare private ids: Set<number>;
  declare private told: boolean;

  constructor(gallery: Gallery) {
    this.g = gallery;
    this.clear();
  }

  clear(): void {
    this.ids = new Set();
    this.told = false;
  }

  look(): void {
    const { g } = this;
    if (!g.wantSeen || g.n === 0 || this.told) return;
    const { columns, pitch } = g.grid;
    const first = Math.ceil((g.scroll.top - GAP) / pitch);
    const last = Math.floor((g.scroll.top + g.scroll.view + GAP) / pitch);
    for (let at = Math.max(0, first * columns); at < Math.min(g.n, last * columns); at++) {
      const image = g.cells.nodes.get(at)?.querySelector("img");
      if (!image || image.classList.contains("here")) this.ids.add(g.ids[at]!);
    }
    if (this.ids.size < g.n) return;
    this.told = true;
    g.say?.setStateValue("seen", { v: g.version });
  }
}

// What the person has just asked for, shown at once; Python's answer takes its place when it comes.

import type { Gallery } from "./gallery";

export interface Look {
  name: string;
  color: string;
  mark: number;
}

const MOST = 20000; // images of one action that are shown at once; the rest waits for Python

export class Expected {
  declare private readonly g: Gallery;
  declare private readonly looks: Map<number, Look & { time: number }>;

  constructor(gallery: Gallery) {
    this.g = gallery;
    this.looks = new Map();
  }

  of(id: number): Look | undefined {
    return this.looks.get(id);
  }

  /** A key was pressed at a time: which images it concerns, and how they will look. */
  expect(action: string, key: string, id: number | null | undefined, time: number, text = ""): void {
    const look = this.look(action, key, text);
    if (!look) return;
    const { g } = this;
    const ids: number[] = [];
    if (g.selection.count) for (let at = 0; at < g.n && ids.length < MOST; at++) g.selection.has(at) && ids.push(g.ids[at]!);
    else if (id !== null && id !== undefined) ids.push(id);
    for (const image of ids) this.looks.set(image, { ...look, time });
    g.cells.rebadge();
    g.viewer.refresh();
  }

  private look(action: string, key: string, text: string): Look | null {
    const { g } = this;
    if (action === "unlabel") return { name: "", color: "", mark: 0 };
    if (action === "reject") return { name: "", color: "", mark: 1 + g.markNames.findIndex(([shape]) => shape === "close") };
    if (action !== "label" && action !== "label_as") return null;
    const name = action === "label" ? g.chips[Number(key) - 1] : text;
    if (!name) return null;
    const code = g.badgeNames.indexOf(name);
    return { name, color: code < 0 ? "" : g.colorOf(code), mark: 1 + g.markNames.findIndex(([shape]) => shape === "tick") };
  }

  /** Python has carried out, or refused, everything asked for up to a time. */
  confirmed(time: number): void {
    let fewer = false;
    for (const [id, look] of this.looks) if (look.time <= time) fewer = this.looks.delete(id);
    if (fewer) this.g.cells.rebadge();
  }
}

// The panes side by side, their splitters, and which of them are shown at a width. Pure arithmetic stands apart from DOM.

import { h } from "../../shared/dom";

export type PaneName = "groups" | "map" | "gallery" | "inspector";
export type Mode = "wide" | "two" | "one";

export const TITLES: Record<PaneName, string> = { groups: "Clusters", map: "Map", gallery: "Pictures", inspector: "Details" };
const START: Record<PaneName, number> = { groups: 236, map: 460, gallery: 0, inspector: 308 };
const LEAST: Record<PaneName, number> = { groups: 168, map: 260, gallery: 300, inspector: 248 };
const SPLITTER = 7;

/** How many panes stand side by side in a width of the workbench's own. */
export function modeOf(width: number, panes: number): Mode {
  if (panes < 2) return "wide";
  if (width < 740) return "one";
  return width < 980 && panes > 2 ? "two" : "wide";
}

/**
 * Widths in px of the panes that are shown, in their order. Each keeps what the person gave it, shrinks to its least
 * where there is not enough, and the gallery takes the rest; a map that nobody resized shares the rest with it.
 */
export function widths(shown: readonly PaneName[], wanted: Partial<Record<PaneName, number>>, width: number): number[] {
  const room = width - SPLITTER * (shown.length - 1);
  const given = new Map<PaneName, number>(shown.map((name) => [name, wanted[name] ?? START[name]]));
  if (shown.includes("map") && wanted.map === undefined) {
    const others = shown.filter((name) => name !== "map" && name !== "gallery");
    const rest = room - others.reduce((sum, name) => sum + given.get(name)!, 0);
    given.set("map", Math.max(LEAST.map, Math.round(rest * (shown.includes("gallery") ? 0.48 : 1))));
  }
  if (shown.length === 1) return [Math.max(0, room)];
  const filler = shown.includes("gallery") ? "gallery" : shown[shown.length - 1]!;
  const fixed = shown.filter((name) => name !== filler);
  let over = fixed.reduce((sum, name) => sum + given.get(name)!, 0) - (room - LEAST[filler]);
  for (const name of [...fixed].sort((a, b) => given.get(b)! - LEAST[b] - (given.get(a)! - LEAST[a]))) {
    if (over <= 0) break;
    const less = Math.min(over, Math.max(0, given.get(name)! - LEAST[name]));
    given.set(name, given.get(name)! - less);
    over -= less;
  }
  given.set(filler, Math.max(0, room - fixed.reduce((sum, name) => sum + given.get(name)!, 0)));
  return shown.map((name) => given.get(name)!);
}

/** Which panes are shown: all, the gallery with one other, or one. Pictures come first, with the map or details beside. */
export function shownPanes(panes: readonly PaneName[], mode: Mode, chosen: PaneName | null): PaneName[] {
  if (mode === "wide") return [...panes];
  if (mode === "one") return [chosen && panes.includes(chosen) ? chosen : "gallery"];
  const others = panes.filter((name) => name !== "gallery");
  const beside = others.find((name) => name === chosen) ?? others.find((name) => name !== "groups") ?? others[0]!;
  return panes.filter((name) => name === "gallery" || name === beside);
}

function remembered(kind: string): Partial<Record<PaneName, number>> {
  try {
    return JSON.parse(localStorage.getItem(`kindred.panes.${kind}`) ?? "{}");
  } catch {
    return {}; // a browser may refuse to keep anything
  }
}

export class Panes {
  readonly elements: Record<PaneName, HTMLElement>;
  private readonly body: HTMLElement;
  private readonly tabs: HTMLElement;
  private wanted: Partial<Record<PaneName, number>>;
  private chosen: PaneName | null = null;
  private large: PaneName | null = null;
  private drawn = "";
  private readonly resizing: ResizeObserver;
  private readonly placing: ResizeObserver;
  private readonly fit = () => this.height();
  mode: Mode = "wide";

  constructor(
    private readonly root: HTMLElement,
    private readonly names: readonly PaneName[],
    private readonly kind: string,
    private readonly titles: Partial<Record<PaneName, string>> = {},
  ) {
    this.wanted = remembered(kind);
    const make = (name: PaneName) => h("section", { class: `pane ${name}`, "aria-label": this.title(name) }) as HTMLElement;
    this.elements = { groups: make("groups"), map: make("map"), gallery: make("gallery"), inspector: make("inspector") };
    this.tabs = h("div", { class: "tabs k-hidden", role: "tablist", "aria-label": "Panes" });
    this.body = h("div", { class: "panes" });
    root.append(this.tabs, this.body);
    this.resizing = new ResizeObserver(() => this.arrange());
    this.resizing.observe(root);
    // What stands above may come, go or grow after the workbench was drawn.
    const node = root.getRootNode();
    const page = (node instanceof ShadowRoot ? node.host : root).closest('[data-testid="stMainBlockContainer"]');
    this.placing = new ResizeObserver(this.fit);
    if (page) this.placing.observe(page);
    addEventListener("resize", this.fit);
    this.height();
  }

  destroy(): void {
    this.resizing.disconnect();
    this.placing.disconnect();
    removeEventListener("resize", this.fit);
  }

  title(name: PaneName): string {
    return this.titles[name] ?? TITLES[name];
  }

  /** Fill what the window has left below the place where the workbench begins. */
  height(): void {
    const scroller = this.root.getRootNode() instanceof ShadowRoot ? scrollerOf((this.root.getRootNode() as ShadowRoot).host) : null;
    const top = this.root.getBoundingClientRect().top + (scroller?.scrollTop ?? 0);
    const height = `${Math.max(360, Math.floor(innerHeight - top - 8))}px`;
    if (this.root.style.height !== height) this.root.style.height = height;
  }

  show(name: PaneName): void {
    this.chosen = name;
    this.arrange();
  }

  /** Let one pane take the whole window, or put it back. */
  enlarge(name: PaneName): void {
    this.large = this.large === name ? null : name;
    this.root.classList.toggle("whole", this.large !== null);
    // The top layer covers the rail and the header too.
    if (this.large) {
      this.root.setAttribute("popover", "manual");
      this.root.showPopover();
    } else {
      this.root.removeAttribute("popover");
    }
    this.arrange();
  }

  get enlarged(): PaneName | null {
    return this.large;
  }

  arrange(): void {
    const width = this.root.clientWidth;
    if (!width) return;
    this.mode = modeOf(width, this.names.length);
    const shown = this.large ? [this.large] : shownPanes(this.names, this.mode, this.chosen);
    const columns = widths(shown, this.mode === "wide" ? this.wanted : {}, width);
    const drawn = shown.join();
    if (this.drawn !== drawn) {
      this.drawn = drawn;
      const parts: HTMLElement[] = [];
      shown.forEach((name, at) => {
        if (at > 0) parts.push(this.splitter(shown[at - 1]!, name));
        parts.push(this.elements[name]);
      });
      // What is already in its place is not moved: a moved element loses its scroll place and its focus.
      for (const old of [...this.body.children]) if (!parts.includes(old as HTMLElement)) old.remove();
      parts.forEach((part, at) => this.body.children[at] !== part && this.body.insertBefore(part, this.body.children[at] ?? null));
    }
    shown.forEach((name, at) => {
      this.elements[name].style.flex = `0 0 ${columns[at]}px`;
    });
    this.root.dataset.mode = this.mode;
    this.drawTabs(shown);
  }

  private drawTabs(shown: readonly PaneName[]): void {
    const offered = this.mode === "wide" || this.large ? [] : this.mode === "one" ? this.names : this.names.filter((name) => name !== "gallery");
    this.tabs.classList.toggle("k-hidden", offered.length < 2);
    this.tabs.replaceChildren(
      ...offered.map((name) => h("button", { type: "button", role: "tab", class: "tab", "aria-selected": String(shown.includes(name)), onclick: () => this.show(name) }, this.title(name))),
    );
  }

  private splitter(left: PaneName, right: PaneName): HTMLElement {
    const name = right === "gallery" || (left !== "gallery" && left !== "map") ? left : right === "map" ? left : right === "inspector" ? right : left;
    const sign = name === left ? 1 : -1;
    const bar = h("div", { class: "splitter", role: "separator", tabindex: "0", "aria-orientation": "vertical", "aria-label": `Width of ${this.title(name).toLowerCase()}`, title: "Drag to resize; double click for the usual width" }) as HTMLElement;
    const tell = () => {
      bar.setAttribute("aria-valuemin", String(LEAST[name]));
      bar.setAttribute("aria-valuemax", String(Math.max(LEAST[name], this.root.clientWidth - LEAST.gallery - SPLITTER)));
      bar.setAttribute("aria-valuenow", String(Math.round(this.wanted[name] ?? START[name])));
    };
    tell();
    const resize = (to: number) => {
      const most = this.root.clientWidth - LEAST.gallery - SPLITTER;
      this.wanted[name] = Math.round(Math.max(LEAST[name], Math.min(most, to)));
      tell();
      this.arrange();
    };
    const keep = () => {
      try {
        localStorage.setItem(`kindred.panes.${this.kind}`, JSON.stringify(this.wanted));
      } catch {
        // The widths are kept while the page is open.
      }
    };
    bar.addEventListener("pointerdown", (event) => {
      const from = event.clientX;
      const width = this.elements[name].offsetWidth;
      bar.setPointerCapture(event.pointerId);
      const move = (now: PointerEvent) => resize(width + sign * (now.clientX - from));
      bar.addEventListener("pointermove", move);
      bar.addEventListener(
        "lostpointercapture",
        () => {
          bar.removeEventListener("pointermove", move);
          keep();
        },
        { once: true },
      );
      event.preventDefault();
    });
    bar.addEventListener("dblclick", () => {
      delete this.wanted[name];
      keep();
      this.arrange();
    });
    bar.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -16, ArrowRight: 16 }[event.key];
      if (!by) return;
      resize(this.elements[name].offsetWidth + sign * by);
      keep();
      event.preventDefault();
      event.stopPropagation();
    });
    return bar;
  }
}

function scrollerOf(from: Element): Element | null {
  for (let at: Element | null = from; at; at = at.parentElement) {
    if (/(auto|scroll)/.test(getComputedStyle(at).overflowY) && at.scrollHeight > at.clientHeight) return at;
  }
  return null;
}

// The full screen view: one image, arrows to step, space to select, the page's actions and the neighbours in a strip.

import { count, h, iconButton } from "../../shared/dom";
import { nameOf } from "../../shared/keys";
import type { Gallery } from "./gallery";

const STRIP = 24;

export class Viewer {
  declare dialog: HTMLDialogElement;
  declare private readonly g: Gallery;
  declare private position: number;
  declare private id: number | null;
  declare private picture: HTMLImageElement;
  declare private note: HTMLElement;
  declare private caption: HTMLElement;
  declare private place: HTMLElement;
  declare private tick: HTMLButtonElement;
  declare private actions: HTMLElement;
  declare private strip: HTMLElement;
  declare private frame: HTMLElement;

  constructor(g: Gallery) {
    this.g = g;
    this.position = -1;
    this.id = null;
    this.build();
  }

  private build(): void {
    this.picture = h("img", { class: "full", alt: "", draggable: "false" });
    this.note = h("p", { class: "note k-hidden" });
    this.caption = h("span", { class: "caption" });
    this.place = h("span", { class: "place" });
    this.tick = iconButton("tick", "Select (Space)", () => this.toggle(), { "aria-pressed": "false" });
    this.actions = h("span", { class: "actions" });
    this.strip = h("div", { class: "strip", role: "list", "aria-label": "Neighbours" });
    this.frame = h("div", { class: "frame", tabindex: "-1" }, this.picture, this.note);
    this.dialog = h(
      "dialog",
      { class: "viewer", "aria-label": "Full screen view" },
      h("header", {}, this.caption, h("span", { class: "k-space" }), this.actions, this.place, this.tick, iconButton("close", "Close (Esc)", () => this.dialog.close())),
      h("div", { class: "stage" }, iconButton("previous", "Previous (Left)", () => this.step(-1)), this.frame, iconButton("next", "Next (Right)", () => this.step(1))),
      this.strip,
    );
    this.picture.addEventListener("error", () => this.picture.hasAttribute("src") && this.failed());
    this.dialog.addEventListener("keydown", (event) => this.key(event));
    this.dialog.addEventListener("close", () => this.closed());
    this.g.root.append(this.dialog);
  }

  open(position: number): void {
    if (position < 0 || position >= this.g.n) return;
    this.show(position, this.g.ids[position]);
    if (this.dialog.open) return;
    this.dialog.showModal();
    this.frame.focus();
  }

  private show(position: number, id: number): void {
    const { g } = this;
    this.position = position;
    this.id = id;
    const reason = g.reasons.get(id) ?? g.failed.get(id);
    this.note.classList.toggle("k-hidden", reason === undefined);
    this.picture.classList.toggle("k-hidden", reason !== undefined);
    if (reason === undefined) {
      this.picture.style.backgroundImage = `url("/thumb/${id}")`;
      this.picture.src = `/image/${id}`;
    } else {
      this.note.textContent = reason;
    }
    if (position >= 0) g.focusOn(position);
    this.refresh();
    g.viewing(id);
  }

  private failed(): void {
    this.picture.removeAttribute("src");
    this.picture.classList.add("k-hidden");
    this.note.textContent = this.g.reasons.get(this.id!) ?? "This image could not be read.";
    this.note.classList.remove("k-hidden");
  }

  /** After each run of the page: stay with the image; if it left the view (it was labelled), go on with the next. */
  follow(moved: boolean): void {
    const { g } = this;
    if (this.id === null) return;
    if (moved && this.position >= 0) {
      const at = g.positionOf(this.id);
      if (at >= 0) this.position = at;
      else if (g.n === 0) this.dialog.close();
      else this.open(Math.min(this.position, g.n - 1));
    }
    this.refresh();
  }

  /** Bring captions, tick, buttons and neighbours up to date; the strip follows. */
  refresh(): void {
    const { g } = this;
    if (this.id === null) return;
    const caption = g.captions.get(this.position) ?? `image ${this.id}`;
    this.caption.textContent = caption;
    this.caption.title = caption;
    this.picture.alt = caption;
    this.place.textContent = this.position >= 0 ? `${count(this.position + 1)} of ${count(g.n)}` : "not in this view";
    const on = this.position >= 0 && g.selection.has(this.position);
    this.tick.setAttribute("aria-pressed", String(on));
    this.tick.disabled = this.position < 0;
    const wanted = JSON.stringify(g.buttons);
    if (this.actions.dataset.buttons !== wanted) {
      this.actions.dataset.buttons = wanted;
      this.actions.replaceChildren(
        ...g.buttons.map(([action, title]) => h("button", { type: "button", class: "k-button", onclick: () => this.act(action, "") }, title)),
      );
    }
    this.neighbours();
  }

  private neighbours(): void {
    const { g } = this;
    const ids = g.neighbours[String(this.id)];
    const state = `${this.id}:${ids?.length ?? -1}`;
    if (this.strip.dataset.state === state) return;
    this.strip.dataset.state = state;
    this.strip.classList.toggle("k-hidden", !g.wantNeighbours);
    if (!ids) {
      this.strip.replaceChildren(h("span", { class: "waiting" }, g.wantNeighbours ? "Looking for neighbours" : ""));
      return;
    }
    if (ids.length === 0) {
      this.strip.replaceChildren(h("span", { class: "waiting" }, "No neighbours known."));
      return;
    }
    this.strip.replaceChildren(
      ...ids.slice(0, STRIP).map((id) => {
        const image = h("img", { src: `/thumb/${id}`, alt: `neighbour ${id}`, draggable: "false" });
        image.addEventListener("error", () => image.classList.add("gone"));
        return h("button", { type: "button", role: "listitem", title: `image ${id}`, onclick: () => this.show(g.positionOf(id), id) }, image);
      }),
    );
  }

  private step(by: number): void {
    const next = this.position + by;
    if (this.position < 0) this.open(this.g.focus);
    else if (next >= 0 && next < this.g.n) this.show(next, this.g.ids[next]);
  }

  private toggle(): void {
    if (this.position < 0) return;
    this.g.pick(this.position, { toggle: true });
    this.refresh();
  }

  private act(action: string, key: string): void {
    this.g.act(action, key, this.position, this.id);
    if (action === "show_on_map") this.dialog.close();
  }

  private key(event: KeyboardEvent): void {
    const name = nameOf(event);
    const own: Record<string, () => void> = { ArrowLeft: () => this.step(-1), ArrowRight: () => this.step(1), " ": () => this.toggle() };
    if ((event.target as Element).closest?.(".strip, .actions") && (name === " " || name === "Enter")) return;
    event.stopPropagation();
    if (own[name]) own[name]();
    else if (this.g.keys[name]) this.act(this.g.keys[name]!, name);
    else return;
    event.preventDefault();
  }

  private closed(): void {
    this.picture.removeAttribute("src");
    this.picture.style.backgroundImage = "";
    this.strip.replaceChildren();
    delete this.strip.dataset.state;
    this.id = null;
    this.g.viewing(null);
    this.g.list.focus({ preventScroll: true });
  }
}

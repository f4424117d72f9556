// Ties the panes together: one selection, one keyboard, one queue of actions to Python.

import { render } from "preact";
import { Gallery } from "../../gallery/src/gallery";
import type { GalleryData } from "../../gallery/src/types";
import { ScatterMap } from "../../map/src/map";
import { hasWebGL } from "../../map/src/plot";
import { arrays, listen, memoryOf, Outbox, type Say } from "../../shared/channels";
import { h as element } from "../../shared/dom";
import { Bar } from "./bar";
import { Filters } from "./filters";
import { Groups } from "./groups";
import { Inspector } from "./inspector";
import { Panes, type PaneName } from "./panes";
import { encoded, pictureIn } from "./pictures";
import type { ActionMessage, GroupItem, NextItem, TwinMessage, WorkbenchMessage } from "./protocol";

/** What an action says beside its name. */
export type Told = Partial<Omit<ActionMessage, "t" | "action">>;

const PERSONAL = ["by you", "imported"]; // given to the very image by a person
const GROW = 12;
const UNSORTED = -1;

export class Workbench {
  readonly outbox: Outbox;
  readonly panes: Panes;
  readonly gallery: Gallery;
  readonly map: ScatterMap | null = null;
  readonly memory: { also?: boolean; sort?: string; order?: number[]; orderOf?: string };
  data: WorkbenchMessage;
  say: Say | null = null;
  items: GroupItem[] = [];
  private itemsOf = "";
  alsoNamed = false; // a name for the cluster changes what the person labelled in it, too
  growing = GROW; // nearest images outside that are looked at in one go
  readonly taken = new Map<number, number>(); // images on their way into the cluster, and when they were asked for
  private decided: number | null = null; // when a twin or one of the things to do next was answered, until that is carried out
  private hoped: number[] | null = null; // the chosen groups that Python has not confirmed yet
  private hopedAt = 0;
  private readonly barPlace: HTMLElement;
  private readonly filterPlace: HTMLElement;
  private readonly stop: () => void;
  private drawing = 0;

  constructor(
    readonly root: HTMLElement,
    data: WorkbenchMessage,
  ) {
    this.data = data;
    this.memory = memoryOf("workbench", data.key);
    this.outbox = new Outbox(() => this.say);
    const webgl = data.map !== null && hasWebGL();
    const names = (["groups", "map", "gallery", "inspector"] as const).filter(
      (name) => name === "gallery" || (name === "map" ? webgl : data[name] !== null),
    );
    this.panes = new Panes(root, names as PaneName[], data.kind, data.groups ? { groups: data.groups.heading } : {});
    const { elements } = this.panes;
    const grid = element("div", { class: "k-gallery" });
    this.barPlace = element("div", { class: "bar-place" });
    this.filterPlace = element("div", { class: "filter-place" });
    elements.gallery.append(this.filterPlace, grid, this.barPlace);
    this.gallery = new Gallery(grid, data.key, this);
    if (data.map && webgl) {
      const drawing = element("div", { class: "k-map" });
      elements.map.append(drawing);
      this.map = new ScatterMap(drawing, data.map, this);
    }
    this.panes.arrange();
    this.stop = listen((channel: string) => channel === `${data.key}:groups` && this.readGroups());
    this.root.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("keydown", this.nowhere);
    document.addEventListener("paste", this.pasted);
    this.root.addEventListener("dragover", (event) => this.data.takes_pictures && event.dataTransfer?.types.includes("Files") && event.preventDefault());
    this.root.addEventListener("drop", (event) => this.look(event, event.dataTransfer));
  }

  destroy(): void {
    document.removeEventListener("keydown", this.nowhere);
    document.removeEventListener("paste", this.pasted);
    this.stop();
    this.outbox.stop();
    this.panes.destroy();
    this.gallery.destroy();
    this.map?.destroy();
    render(null, this.barPlace);
    render(null, this.filterPlace);
    render(null, this.panes.elements.groups);
    render(null, this.panes.elements.inspector);
  }

  update(data: WorkbenchMessage, say: Say): void {
    const before = this.data.inspector?.subject;
    this.data = data;
    this.say = say;
    this.outbox.acknowledge(data.acted);
    if (this.hoped && data.acted >= this.hopedAt) this.hoped = null;
    if (this.decided !== null && data.acted >= this.decided) this.decided = null;
    for (const [id, sent] of this.taken) if (data.acted >= sent) this.taken.delete(id);
    if (data.inspector?.subject !== before) Object.assign(this, { alsoNamed: false, growing: GROW });
    this.gallery.say = say;
    this.gallery.update({ ...(data.gallery as GalleryData), acted: data.acted });
    if (data.map && this.map) {
      this.map.say = say;
      this.map.update(data.map);
    } else if (data.map && !this.map) {
      say.setStateValue("webgl", false);
    }
    this.readGroups();
    this.panes.height();
    this.draw();
  }

  // ---- what gallery and map ask of their host

  /** The selection of the gallery changed. */
  selected(_gallery: unknown): void {
    if (this.gallery) this.draw();
  }

  /** What is said with each action. */
  with(): Told {
    return { also: this.memory.also === true && this.gallery.selection.together };
  }

  /** What an action of the map concerns. */
  about(): Told {
    return { selection: this.gallery.message(), ...this.with() };
  }

  /** The regions on the map were taken away: what they had selected is not selected any more. */
  cleared(): void {
    this.gallery.deselect();
  }

  enlarge(name: PaneName): void {
    this.panes.enlarge(name);
  }

  /** Keys of the other panes, for the list of all keys. */
  help(): [string, string][] {
    const rows: [string, string][] = [];
    if (this.map) rows.push(["W", "map alone, and back"]);
    if (this.data.inspector)
      rows.push(["Enter in the empty name field", "do the first thing under Next"], ["Alt + Left, Alt + Right", "cluster before, cluster after"], ["G", "take what is near"], ["H", "halve what is near"], ["D", "the two clusters are different things"]);
    return rows;
  }

  // ---- groups

  get chosen(): number[] {
    return this.hoped ?? this.data.groups?.chosen ?? [];
  }

  choose(groups: number[]): void {
    this.hoped = groups;
    this.hopedAt = this.act("choose", { part: "groups", values: groups });
    this.draw();
  }

  private readGroups(): void {
    const { groups, key } = this.data;
    if (!groups || this.itemsOf === groups.version) return;
    const found = arrays<{ json: Uint8Array }>(`${key}:groups`, groups.version);
    if (!found) return;
    this.itemsOf = groups.version;
    this.items = JSON.parse(new TextDecoder().decode(found.json));
    this.draw();
  }

  // ---- the cluster that is worked on

  /** Go to the cluster before or after in the list. */
  step(by: number): void {
    const ids = (this.memory.order ?? []).filter((id) => id !== UNSORTED);
    const at = ids.indexOf(this.chosen[0] ?? NaN);
    const next = ids[at + by];
    if (next !== undefined) this.choose([next]);
  }

  /** Whether an answer is on its way; what was offered with it may not hold any more, so nothing else is answered. */
  get deciding(): boolean {
    return this.decided !== null;
  }

  /** Both are the same thing, or they are not; asked once, of the pair that is shown (newer data may not be drawn yet). */
  answerTwin(action: "merge_twin" | "different", subject: number, twin: TwinMessage): void {
    if (!this.deciding) this.decide(this.act(action, { part: "inspector", id: subject, value: twin.id, also: this.alsoNamed }));
  }

  private decide(sent: number): void {
    this.decided = sent;
    this.drawNow(); // a second press may come before the next frame
  }

  /** The nearest images outside the cluster that were not taken yet. */
  near(): number[] {
    return (this.data.inspector?.grow ?? []).filter((id) => !this.taken.has(id));
  }

  /** These images belong to the cluster; the next page is twice as large. */
  grow(subject: number, ids: number[]): number {
    const sent = this.act("take", { part: "inspector", id: subject, values: ids });
    for (const id of ids) this.taken.set(id, sent);
    this.growing = Math.min(60, 2 * this.growing);
    this.draw();
    return sent;
  }

  /** Not all of them belong: look at the nearer half. */
  halve(): void {
    this.growing = Math.max(1, Math.floor(this.growing / 2));
    this.draw();
  }

  /** Do one of the best things to do next as it is shown, or go where it is looked at. */
  next(move: NextItem): void {
    if (this.deciding) return;
    if (move.kind === "grow") this.decide(this.grow(move.cluster, move.ids));
    else this.decide(this.act("next", { part: "inspector", text: move.kind, id: move.cluster, value: move.other, also: false }));
  }

  /** Take a line off Next for this session. */
  notNow(move: NextItem): void {
    if (!this.deciding) this.decide(this.act("not_now", { part: "inspector", text: `${move.kind} ${move.label}`, id: move.cluster, value: move.other }));
  }

  /** Enter where nothing is typed; a cluster that is shown and lacks a name needs one, so that Enter alone says nothing. */
  nextByEnter(): boolean {
    const { inspector } = this.data;
    const move = inspector?.next.moves[0];
    if (!inspector || !move || inspector.audit?.open || (move.kind === "name" && move.cluster === inspector.subject)) return false;
    this.next(move);
    return true;
  }

  // ---- actions

  /** Ask Python for something; returns the time by which it is known as carried out. */
  act(action: string, told: Told = {}): number {
    const sent: number = this.outbox.send({ action, key: "", part: "bar", id: null, position: null, ...this.about(), ...told });
    this.gallery.expected.expect(action, "", null, sent, told.text);
    return sent;
  }

  private key(event: KeyboardEvent): void {
    if (event.defaultPrevented) return;
    const sideways = event.altKey && (event.key === "ArrowLeft" || event.key === "ArrowRight"); // in the name field, too
    if (typing(event) && !(sideways && this.data.inspector)) return;
    const { inspector } = this.data;
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (inspector && event.altKey && event.key === "ArrowLeft") this.step(-1);
    else if (inspector && event.altKey && event.key === "ArrowRight") this.step(1);
    else if (inspector && this.near().length && plain && event.key === "g") this.grow(inspector.subject, this.near().slice(0, this.growing));
    else if (inspector?.grow.length && plain && event.key === "h") this.halve();
    else if (inspector?.twin && plain && event.key === "d") this.answerTwin("different", inspector.subject, inspector.twin);
    else if (inspector && plain && event.key === "Enter" && event.target === document.body && this.nextByEnter()) event.stopPropagation();
    else if (this.map && event.key === "w" && plain) this.enlarge("map");
    else if (event.key === "Escape" && this.panes.enlarged) this.panes.enlarge(this.panes.enlarged);
    else if (event.key === "Escape" && this.gallery.selection.count) this.gallery.deselect();
    else if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "a" && this.gallery.n) this.gallery.selectAll();
    else return;
    event.preventDefault();
  }

  private readonly nowhere = (event: KeyboardEvent): void => {
    if (event.target === document.body) this.key(event);
  };

  private readonly pasted = (event: ClipboardEvent): void => {
    const target = event.composedPath()[0];
    if (!(target instanceof Element && target.matches("input, textarea, dialog *, [role=dialog] *"))) this.look(event, event.clipboardData);
  };

  /** Search for what is like a picture that was pasted or dropped. */
  private look(event: Event, given: DataTransfer | null): void {
    const picture = this.data.takes_pictures ? pictureIn(given) : null;
    if (!picture) return;
    event.preventDefault();
    void encoded(picture).then((text) => text && this.act("picture", { text }));
  }

  /** How many of the selected images a person labelled one by one; only a group can hold some unawares. */
  yours(): number {
    const { gallery } = this;
    if (!gallery.selection.together || !gallery.marks) return 0;
    const personal = gallery.markNames.map(([, words]: [string, string]) => PERSONAL.includes(words));
    const { mask } = gallery.selection;
    let found = 0;
    for (let at = 0; at < mask.length; at++) if (mask[at] && personal[gallery.marks[at]! - 1]) found++;
    return found;
  }

  draw(): void {
    cancelAnimationFrame(this.drawing);
    this.drawing = requestAnimationFrame(() => this.drawNow());
  }

  private drawNow(): void {
    const { data } = this;
    render(data.bar && this.gallery.selection.count ? <Bar bench={this} message={data.bar} /> : null, this.barPlace);
    if (data.filters) render(<Filters bench={this} message={data.filters} />, this.filterPlace);
    if (data.groups) render(<Groups bench={this} message={data.groups} items={this.items} chosen={this.chosen} />, this.panes.elements.groups);
    if (data.inspector) render(<Inspector bench={this} message={data.inspector} />, this.panes.elements.inspector);
  }
}

function typing(event: KeyboardEvent): boolean {
  const target = event.composedPath()[0];
  return target instanceof Element && target.matches("input:not([type=range]):not([type=checkbox]), textarea, select, dialog *");
}

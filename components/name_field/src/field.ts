// The name field: Enter names and goes on, what was typed is never lost.

import { memoryOf, Outbox, type Say } from "../../shared/channels";
import { count, h } from "../../shared/dom";

const LIMIT = 200; // characters of a name
const TWICE = 1000; // ms after a name, and after its answer, in which an empty Enter is one press too many

/** What the field is made with. */
export interface Made {
  key: string;
  label: string;
  button: string;
  placeholder: string;
}

/** What it is told at each run of the page. */
export interface Told {
  subject: number | string;
  value: string;
  names: string[];
  acted: number;
}

/** What it is a part of. */
export interface Host {
  outbox: Outbox;
  with(): Record<string, unknown>;
  /** Enter in the empty field; whether that did something. */
  empty?(): boolean;
}

/** What is wrong with a name that is too long, as engine/labels/log.py would say it; empty where it is not. */
export function tooLong(text: string): string {
  const long = [...text.trim().replace(/\s+/g, " ")].length;
  return long > LIMIT ? `A name may have ${LIMIT} characters; this one has ${count(long)}. Shorten it.` : "";
}

export class NameField {
  declare private readonly root: HTMLElement;
  declare private readonly host: Host | null;
  declare private readonly drafts: Map<Told["subject"] | null, string>;
  declare private readonly memory: { drafts?: Map<Told["subject"] | null, string> };
  declare readonly outbox: Outbox;
  declare say: Say | undefined;
  declare private subject: Told["subject"] | null;
  declare private sent: { text: string; time: number; subject: Told["subject"] | null } | null;
  declare private readonly queue: string[];
  private entered = -TWICE;
  declare private value: string;
  declare private later: string | undefined;
  declare private listed: string;
  declare private names: HTMLDataListElement;
  declare private input: HTMLInputElement;
  declare private button: HTMLButtonElement;
  declare private note: HTMLSpanElement;
  declare private form: HTMLFormElement;

  /** `host`, where the field is a part of something larger: its outbox. */
  constructor(root: HTMLElement, data: Made, host: Host | null = null) {
    this.root = root;
    this.host = host;
    this.memory = memoryOf("name_field", data.key);
    this.drafts = this.memory.drafts ??= new Map();
    this.outbox = host?.outbox ?? new Outbox(() => this.say);
    this.subject = null;
    this.sent = null; // the name that Python has not answered yet: { text, time }
    this.queue = []; // names entered while that one is under way
    this.build(data);
  }

  private build(data: Made): void {
    const list = `names-${data.key}`;
    this.names = h("datalist", { id: list });
    this.input = h("input", { type: "text", list, autocomplete: "off", spellcheck: "false", "aria-label": data.label, placeholder: data.placeholder });
    this.button = h("button", { type: "submit" }, data.button);
    this.note = h("span", { class: "note", role: "status", "aria-live": "polite" });
    this.form = h("form", {}, this.input, this.button, this.names);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.enter();
      this.input.focus({ preventScroll: true });
    });
    this.input.addEventListener("input", () => this.typed());
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        if (this.dirty) this.note.textContent = "Not named yet; what you typed is kept.";
        this.input.blur();
      } else if (!this.dirty || (event.altKey && event.key.startsWith("Arrow"))) return; // the page's own keys, such as Ctrl + Z
      event.stopPropagation();
    });
    this.root.append(this.form, this.note);
  }

  private get dirty(): boolean {
    return this.input.value.trim() !== "" && this.input.value !== this.value;
  }

  private typed(): void {
    this.note.textContent = tooLong(this.input.value);
    if (this.sent) return; // it belongs to the next subject
    if (this.dirty) this.drafts.set(this.subject, this.input.value);
    else this.drafts.delete(this.subject);
  }

  private enter(): void {
    const text = this.input.value.trim();
    const twice = performance.now() - this.entered < TWICE;
    if (!text && !this.sent && !twice && this.host?.empty?.()) return;
    if (!text) {
      this.note.textContent = "Type a name first; nothing was named.";
      return;
    }
    if (tooLong(text)) {
      this.note.textContent = tooLong(text);
      return;
    }
    this.input.value = "";
    this.entered = performance.now();
    if (this.sent) this.queue.push(text); // the next subject is still on its way
    else this.send(text);
  }

  private send(text: string): void {
    this.drafts.delete(this.subject);
    this.sent = { text, time: this.outbox.send({ action: "name", id: this.subject, text, ...this.host?.with() }), subject: this.subject };
    this.note.textContent = `${text} ✓`;
    this.value = "";
  }

  update(data: Told): void {
    if (!this.host) this.outbox.acknowledge(data.acted);
    const wanted = JSON.stringify(data.names);
    if (this.listed !== wanted) {
      this.listed = wanted;
      this.names.replaceChildren(...data.names.map((value) => h("option", { value })));
    }
    const answered = this.sent && data.acted >= this.sent.time;
    if (this.sent && !answered && data.subject === this.sent.subject) return;
    const before = this.sent;
    const moved = data.subject !== this.subject;
    if (!moved && !before && data.value === this.value) return;
    const ahead = before ? this.input.value : "";
    const kept = !moved && !before && this.dirty ? this.input.value : undefined;
    if (before) this.entered = performance.now();
    this.sent = null;
    this.subject = data.subject;
    this.value = data.value;
    if (before && moved && this.queue.length) {
      this.send(this.queue.shift()!);
      return;
    }
    const [waiting] = this.queue.splice(0);
    const next = ahead || waiting; // typed for the subject that follows
    if (before && !moved && data.value !== before.text) {
      // Refused: that name is shown again, and what was typed after it waits.
      this.later = next;
      this.input.value = before.text;
      this.note.textContent = next ? `Not named; “${next}” is kept for the next.` : "";
    } else {
      const later = moved ? this.later : undefined;
      if (moved) this.later = undefined;
      this.input.value = next || later || kept || (this.drafts.get(data.subject) ?? data.value);
      if (this.dirty) this.drafts.set(this.subject, this.input.value);
      if (next && !moved) this.note.textContent = "Not named: nothing comes after this one. Enter renames it.";
    }
    if (moved && !next) this.note.textContent = "";
    if (moved && document.activeElement === document.body) this.input.focus({ preventScroll: true });
    if (this.input === (this.root.getRootNode() as Document | ShadowRoot).activeElement && !ahead) this.input.select();
  }
}

// Access to the arrays that the channels received, what a component remembers, and its messages to Python.

import { type Arrays, shared } from "./store";

/** By what a component speaks to Python. */
export interface Say {
  setStateValue(name: string, value: unknown): void;
  setTriggerValue(name: string, value: unknown): void;
}

/** An action on its way: when it was asked for, what, and what is said with it. */
export interface Sent {
  t: number;
  action: string;
  [said: string]: unknown;
}

/** Return the arrays of a channel if its present version is the wanted one, else null. */
export function arrays<T extends Arrays = Arrays>(channel: string, version: string): T | null {
  const entry = shared.channels.get(channel);
  return entry && entry.version === version ? (entry.arrays as T) : null;
}

/** Call `then(channel)` whenever a channel receives data; returns the function that ends it. */
export function listen(then: (channel: string) => void): () => boolean {
  shared.waiting.add(then);
  return () => shared.waiting.delete(then);
}

/** What a component remembers under its key while its element comes and goes (page switches). */
export function memoryOf<T extends object = Record<string, unknown>>(kind: string, key: string): Partial<T> {
  const all = (shared.memories ??= new Map());
  const name = `${kind}:${key}`;
  if (!all.has(name)) all.set(name, {});
  return all.get(name) as Partial<T>;
}

const STEP = 1 / 1024; // ms between two of one moment; the clock of a browser stands still for up to 100 us

/** A number that grows with every call, and with time over reloads of the page. */
export function stamp(): number {
  shared.stamped = Math.max(performance.timeOrigin + performance.now(), (shared.stamped ?? 0) + STEP);
  return shared.stamped;
}

const RESEND = 1500; // ms; doubled with each try

/**
 * Actions on their way to Python. Streamlit drops triggers of a busy moment: of several it keeps the last, and those of
 * a run that a newer click ended are gone. So each message carries every action that was not acknowledged, and is sent
 * again until it is; Python takes each action once (components/actions.py).
 */
export class Outbox {
  declare waiting: Sent[];
  declare private readonly say: () => Say | null | undefined;
  declare private pause: number;
  declare private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(say: () => Say | null | undefined) {
    this.say = say;
    this.waiting = [];
    this.pause = RESEND;
  }

  acknowledge(time: number): void {
    this.waiting = this.waiting.filter((action) => action.t > time);
    if (this.waiting.length === 0) this.stop();
  }

  /** Send an action and return its time. */
  send(action: { action: string; [said: string]: unknown }): number {
    const sent: Sent = { t: stamp(), ...action };
    this.waiting.push(sent);
    this.stop();
    this.deliver();
    return sent.t;
  }

  private deliver(): void {
    this.say()?.setTriggerValue("event", this.waiting);
    this.timer = setTimeout(() => this.deliver(), this.pause);
    this.pause *= 2;
  }

  stop(): void {
    clearTimeout(this.timer);
    this.pause = RESEND;
  }
}

/** Offer a component's code to the shim that stands in for it (components/shim). */
export function register(part: string, mount: (call: never) => unknown, leave: (parentElement: HTMLElement) => void): void {
  shared[part] = Object.assign(mount, { leave });
  for (const tell of [...shared.waiting]) tell(`code:${part}`);
}

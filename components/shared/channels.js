// Access to the arrays that channel.js received; the store lives on globalThis because each component is its own module.

const shared = (globalThis.__kindred ??= { channels: new Map(), waiting: new Set() });

/** Return the arrays of a channel if its present version is the wanted one, else null. */
export function arrays(channel, version) {
  const entry = shared.channels.get(channel);
  return entry && entry.version === version ? entry.arrays : null;
}

/** Call `then(channel)` whenever a channel receives data; returns the function that ends it. */
export function listen(then) {
  shared.waiting.add(then);
  return () => shared.waiting.delete(then);
}

/** What a component remembers under its key while its element comes and goes (page switches). */
export function memoryOf(kind, key) {
  const all = (shared.memories ??= new Map());
  const name = `${kind}:${key}`;
  if (!all.has(name)) all.set(name, {});
  return all.get(name);
}

const STEP = 1 / 1024; // ms between two of one moment; the clock of a browser stands still for up to 100 us

/** A number that grows with every call, and with time over reloads of the page. */
export function stamp() {
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
  constructor(say) {
    this.say = say;
    this.waiting = [];
    this.pause = RESEND;
  }

  acknowledge(time) {
    this.waiting = this.waiting.filter((action) => action.t > time);
    if (this.waiting.length === 0) this.stop();
  }

  /** Send an action and return its time. */
  send(action) {
    const sent = { t: stamp(), ...action };
    this.waiting.push(sent);
    this.stop();
    this.deliver();
    return sent.t;
  }

  deliver() {
    this.say()?.setTriggerValue("event", this.waiting);
    this.timer = setTimeout(() => this.deliver(), this.pause);
    this.pause *= 2;
  }

  stop() {
    clearTimeout(this.timer);
    this.pause = RESEND;
  }
}

/** Offer a component's code to the shim that stands in for it (shim.js). */
export function register(part, mount, leave) {
  shared[part] = Object.assign(mount, { leave });
  for (const tell of [...shared.waiting]) tell(`code:${part}`);
}

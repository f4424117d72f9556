import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { arrays, listen, memoryOf, Outbox, stamp } from "./channels";

interface Sent {
  t: number;
  action: string;
}

/** How Python reads actions (components/actions.py: fresh_actions): each later than all before, in their order. */
class Python {
  acted = 0;
  readonly done: string[] = [];

  hear(message: readonly Sent[]): void {
    const fresh = message.filter(({ t }) => t > this.acted).sort((a, b) => a.t - b.t);
    for (const { action } of fresh) this.done.push(action);
    this.acted = Math.max(this.acted, ...fresh.map(({ t }) => t));
  }
}

/** Numbers in [0, 1) that are the same in every run. */
function dice(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 16807) % 2147483647) / 2147483647;
}

/** A wire that loses, doubles and delays what goes over it, by chance. */
function wire<T>(roll: () => number, reach: (what: T) => void, { lost = 0, doubled = 0, latest = 0 }) {
  return (what: T) => {
    const copies = roll() < lost ? 0 : roll() < doubled ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) setTimeout(() => reach(what), Math.floor(roll() * latest));
  };
}

beforeEach(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance", "Date"] }));
afterEach(() => vi.useRealTimers());

describe("Outbox", () => {
  test.each([
    ["a perfect wire", {}],
    ["a wire that loses a third of all messages", { lost: 0.33 }],
    ["a wire that doubles half of them", { doubled: 0.5 }],
    ["a wire that changes their order", { latest: 6000 }],
    ["a wire that does all of this", { lost: 0.3, doubled: 0.4, latest: 6000 }],
  ])("over %s each action is done once and in order, both ways", (_, faults) => {
    for (let seed = 1; seed <= 6; seed++) {
      const roll = dice(seed);
      const python = new Python();
      const answer = wire<number>(roll, (time) => outbox.acknowledge(time), faults);
      const ask = wire<string>(roll, (text) => (python.hear(JSON.parse(text)), answer(python.acted)), faults);
      const outbox = new Outbox(() => ({ setTriggerValue: (_: string, value: unknown) => ask(JSON.stringify(value)), setStateValue: () => {} }));
      const asked: string[] = [];
      for (let at = 0; at < 60; at++) {
        asked.push(`action ${at}`);
        outbox.send({ action: `action ${at}` });
        if (roll() < 0.7) vi.advanceTimersByTime(Math.floor(roll() * 900)); // several come in one moment
      }
      vi.advanceTimersByTime(1500 * 2 ** 19); // the pause doubles with each try
      expect(python.done).toEqual(asked);
      expect(outbox.waiting).toEqual([]);
      expect(vi.getTimerCount()).toBe(0);
    }
  });

  test("of two actions in one moment neither is lost when they come in two messages", () => {
    const python = new Python();
    const outbox = new Outbox(() => ({ setTriggerValue: (_: string, value: unknown) => python.hear(JSON.parse(JSON.stringify(value))), setStateValue: () => {} }));
    const [one, two] = [outbox.send({ action: "one" }), outbox.send({ action: "two" })];
    expect(two).toBeGreaterThan(one);
    expect(python.done).toEqual(["one", "two"]);
    outbox.stop();
  });

  test("what cannot be said yet is said later", () => {
    const python = new Python();
    let ready = false;
    const outbox = new Outbox(() => (ready ? { setTriggerValue: (_: string, value: unknown) => python.hear(JSON.parse(JSON.stringify(value))), setStateValue: () => {} } : null));
    outbox.send({ action: "early" });
    expect(python.done).toEqual([]);
    ready = true;
    vi.advanceTimersByTime(1500);
    expect(python.done).toEqual(["early"]);
    outbox.acknowledge(python.acted);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("asks more and more seldom, and often again once something new is asked for", () => {
    let messages = 0;
    const outbox = new Outbox(() => ({ setTriggerValue: () => (messages += 1), setStateValue: () => {} }));
    outbox.send({ action: "one" });
    vi.advanceTimersByTime(60_000);
    expect(messages).toBeLessThanOrEqual(7);
    const before = messages;
    outbox.send({ action: "two" });
    vi.advanceTimersByTime(1500);
    expect(messages).toBe(before + 2);
    outbox.stop();
    vi.advanceTimersByTime(1_000_000);
    expect(messages).toBe(before + 2);
  });

  test("an answer that is late takes nothing away that was asked for since", () => {
    const outbox = new Outbox(() => null);
    const first = outbox.send({ action: "first" });
    const second = outbox.send({ action: "second" });
    outbox.acknowledge(first);
    outbox.acknowledge(first - 1000);
    expect(outbox.waiting.map(({ t }: Sent) => t)).toEqual([second]);
    outbox.acknowledge(second);
    expect(outbox.waiting).toEqual([]);
  });
});

test("times grow, also within one moment", () => {
  const times = Array.from({ length: 200 }, stamp);
  times.slice(1).forEach((time, at) => expect(time).toBeGreaterThan(times[at]!));
});

test("arrays are those of the wanted version only, and whoever waits is told", () => {
  const store = (globalThis as unknown as { __kindred: { channels: Map<string, object>; waiting: Set<(channel: string) => void> } }).__kindred;
  const told: string[] = [];
  const end = listen((channel: string) => told.push(channel));
  store.channels.set("a:ids", { channel: "a:ids", version: "2", arrays: { ids: [1] } });
  for (const tell of [...store.waiting]) tell("a:ids");
  expect(arrays("a:ids", "2")).toEqual({ ids: [1] });
  expect(arrays("a:ids", "1")).toBeNull();
  expect(arrays("b:ids", "2")).toBeNull();
  end();
  for (const tell of [...store.waiting]) tell("a:ids");
  expect(told).toEqual(["a:ids"]);
});

test("a component finds its memory again under its key", () => {
  Object.assign(memoryOf("gallery", "one"), { size: 96 });
  expect(memoryOf("gallery", "one")).toEqual({ size: 96 });
  expect(memoryOf("gallery", "two")).toEqual({});
});

// The palette's place in the header: a button that says its key, and the dialog when it is open.
import { render } from "preact";
import { memoryOf, Outbox, register, type Say } from "../../shared/channels";
import { shared } from "../../shared/store";
import { Palette } from "./palette";
import type { Data, Entry } from "./types";

interface Call extends Say {
  data?: Data;
  parentElement: HTMLElement;
}

interface Kept {
  outbox: Outbox;
  say: Call;
}

interface Place {
  data: Data;
  say: Call | null;
  open: boolean;
  outbox: Outbox;
  before: HTMLElement | null; // what had the focus, to give it back
}

const places = new Map<HTMLElement, Place>();

function draw(root: HTMLElement, place: Place) {
  const choose = (entry: Entry) => {
    close(root, place);
    if (entry.kind === "here") return (shared[entry.value] as { turn?(): void } | undefined)?.turn?.();
    place.outbox.send({ action: entry.kind, value: entry.value });
  };
  render(
    <>
      <button type="button" class="open" aria-haspopup="dialog" aria-keyshortcuts="Control+K" title="Search and commands (Ctrl+K)" onClick={() => open(root, place)}>
        <svg viewBox="0 0 20 20" aria-hidden="true">
          <path d="M9 3.500a5.500 5.500 0 1 0 0 11 5.500 5.500 0 0 0 0-11M13 13l4 4" />
        </svg>
        <span class="word">Search</span>
        <kbd>Ctrl K</kbd>
      </button>
      {place.open && <Palette data={place.data} onChoose={choose} onClose={() => close(root, place)} />}
    </>,
    root,
  );
}

function open(root: HTMLElement, place: Place) {
  if (place.open) return;
  place.before = document.activeElement instanceof HTMLElement ? document.activeElement : null;
  place.open = true;
  draw(root, place);
}

function close(root: HTMLElement, place: Place) {
  place.open = false;
  draw(root, place);
  place.before?.focus?.({ preventScroll: true });
}

// Capture, so that Ctrl+K means the palette wherever the focus is, and never the browser's own address bar.
addEventListener(
  "keydown",
  (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
    for (const [root, place] of places) {
      if (!root.isConnected || place.open || document.querySelector("dialog[open]")) continue;
      event.preventDefault();
      event.stopPropagation();
      open(root, place);
      return;
    }
  },
  true,
);

function mount(call: Call) {
  const root = call.parentElement.querySelector<HTMLElement>(".k-palette");
  if (!root || !call.data) return undefined;
  let place = places.get(root);
  if (!place) {
    const memory = memoryOf<Kept>("palette", call.data.key);
    const made: Place = { data: call.data, say: null, open: false, before: null, outbox: (memory.outbox ??= new Outbox(() => memory.say)) };
    places.set(root, made);
    place = made;
  }
  memoryOf<Kept>("palette", call.data.key).say = call;
  place.data = call.data;
  place.outbox.acknowledge(call.data.acted);
  draw(root, place);
  return () => leave(call.parentElement);
}

function leave(parentElement: HTMLElement) {
  const root = parentElement.querySelector<HTMLElement>(".k-palette");
  if (!root || root.isConnected) return;
  render(null, root);
  places.delete(root);
}

register("palette", mount, leave);

export default function () {}

// What can be done with the selected images; it floats over the gallery.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { count } from "../../shared/dom";
import { Icon } from "./icon";
import type { BarMessage } from "./protocol";
import type { Workbench } from "./workbench";

const UNSORTED = -1;

export function Bar({ bench, message }: { bench: Workbench; message: BarMessage }) {
  const [open, setOpen] = useState<"" | "label" | "move" | "more">("");
  const place = useRef<HTMLDivElement>(null);
  const { selection } = bench.gallery;
  const yours = bench.yours();
  useEffect(() => {
    if (!open) return undefined;
    const close = (event: Event) => !event.composedPath().includes(place.current!) && setOpen("");
    document.addEventListener("pointerdown", close);
    return () => document.removeEventListener("pointerdown", close);
  }, [open]);
  const toggle = (which: typeof open) => () => setOpen(open === which ? "" : which);
  const act = (action: string, told = {}) => {
    setOpen("");
    bench.act(action, told);
    bench.gallery.list.focus({ preventScroll: true });
  };
  return (
    <div class="bar" role="toolbar" aria-label="Selected images" ref={place} onKeyDown={(event) => event.key === "Escape" && open && (setOpen(""), event.stopPropagation())}>
      <strong class="chosen">
        {count(selection.count)} selected
        {bench.gallery.hidden > 0 && <span class="quiet" title="Scroll to see them; Esc deselects all">, {count(bench.gallery.hidden)} not in view</span>}
      </strong>
      <button type="button" class="k-button" aria-label="Deselect (Esc)" title="Deselect (Esc)" onClick={() => bench.gallery.deselect()}>
        <Icon name="close" />
      </button>
      {yours > 0 && (
        <label class="yours" title="A group action leaves what you labelled one by one as it is">
          <input type="checkbox" checked={bench.memory.also === true} onChange={(event) => ((bench.memory.also = event.currentTarget.checked), bench.draw())} />
          also change {count(yours)} labelled one by one
        </label>
      )}
      {message.own.map(([action, title]) => (
        <button key={action} type="button" class="k-button primary" onClick={() => act(action!)}>
          {title}
        </button>
      ))}
      <button type="button" class="k-button strong" aria-expanded={open === "label"} onClick={toggle("label")}>
        <Icon name="label" /> Label as
      </button>
      <button type="button" class="k-button" onClick={() => act("confirm")} aria-label="Confirm" title="Confirm: these are right as they are">
        <Icon name="tick" /> <span class="words">Confirm</span>
      </button>
      <button type="button" class="k-button" onClick={() => act("reject")} aria-label="Set aside" title="Set aside: not of this cluster, they become unsorted (x)">
        <Icon name="aside" /> <span class="words">Set aside</span>
      </button>
      <button type="button" class="k-button" aria-label="Move to" title="Move to another cluster" aria-expanded={open === "move"} onClick={toggle("move")}>
        <Icon name="move" /> <span class="words">Move to</span>
      </button>
      <button type="button" class="k-button" onClick={() => act("more_like")} aria-label="More like these" title="More like these: show the images most like them (l)">
        <Icon name="like" /> <span class="words">More like these</span>
      </button>
      <button type="button" class="k-button" aria-label="More actions" title="More actions" aria-expanded={open === "more"} onClick={toggle("more")}>
        <Icon name="more" />
      </button>
      {open === "label" && <Choice options={message.names.map((name) => [name, name])} placeholder="Label, new or known" free onChoose={(_, text) => act("label_as", { text })} />}
      {open === "move" && (
        <Choice
          options={[["new", "New cluster"], ...bench.items.filter((item) => item.id !== UNSORTED).map((item): [string, string] => [String(item.id), item.title])]}
          placeholder="Cluster"
          onChoose={(id) => (id === "new" ? act("split_off") : act("move", { value: Number(id) }))}
        />
      )}
      {open === "more" && <More bench={bench} message={message} act={act} />}
    </div>
  );
}

/** A field with suggestions: arrows and Enter, or a click. */
function Choice({ options, placeholder, free = false, onChoose }: { options: [string, string][]; placeholder: string; free?: boolean; onChoose(id: string, text: string): void }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => field.current?.focus({ preventScroll: true }), []); // before the next key comes
  const wanted = text.trim().toLocaleLowerCase();
  const found = options.filter(([, title]) => title.toLocaleLowerCase().includes(wanted)).slice(0, 60);
  const exact = options.some(([, title]) => title.toLocaleLowerCase() === wanted);
  const listed: [string, string][] = free && wanted && !exact ? [["", text.trim()], ...found] : found;
  const choose = (place: number) => {
    const option = listed[place];
    if (option) onChoose(option[0], option[1]);
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") setAt(Math.max(0, Math.min(listed.length - 1, at + (event.key === "ArrowDown" ? 1 : -1))));
    else if (event.key === "Enter") choose(at);
    else {
      if (event.key !== "Escape") event.stopPropagation();
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="menu">
      <input
        ref={field}
        class="k-input"
        role="combobox"
        aria-expanded="true"
        aria-controls="choice-list"
        aria-activedescendant={listed.length ? `choice-${at}` : undefined}
        aria-label={placeholder}
        placeholder={placeholder}
        value={text}
        onInput={(event) => (setText(event.currentTarget.value), setAt(0))}
        onKeyDown={keys}
      />
      <div class="options" role="listbox" id="choice-list" aria-label={placeholder}>
        {listed.map(([id, title], place) => (
          <div key={`${id}${title}`} id={`choice-${place}`} role="option" aria-selected={place === at} class="option" title={title} onPointerEnter={() => setAt(place)} onClick={() => choose(place)}>
            <span class="word">{title}</span>
            {free && id === "" && <span class="quiet">new label</span>}
          </div>
        ))}
        {listed.length === 0 && <div class="option quiet">{free ? "Type a label and press Enter" : "No cluster has such a name"}</div>}
      </div>
    </div>
  );
}

function More({ bench, message, act }: { bench: Workbench; message: BarMessage; act(action: string, told?: object): void }) {
  const [parts, setParts] = useState(2);
  const most = Math.min(12, bench.gallery.selection.count);
  return (
    <div class="menu">
      {message.parts && most >= 2 && (
        <form class="row" onSubmit={(event) => (event.preventDefault(), act("split", { value: Math.min(parts, most) }))}>
          <label>
            Split into{" "}
            <input class="k-input short" type="number" min={2} max={most} value={parts} onInput={(event) => setParts(Math.max(2, Number(event.currentTarget.value) || 2))} />
          </label>
          <button type="submit" class="k-button strong" title="k-means on the selected images only">
            Split
          </button>
        </form>
      )}
      {message.more.map(([action, title]) => (
        <button key={action} type="button" class="option" onClick={() => act(action!)}>
          {title}
        </button>
      ))}
    </div>
  );
}

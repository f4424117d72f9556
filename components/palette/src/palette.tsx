// The dialog: a field over a list (combobox and listbox), all by keyboard. Names only ever become text.
import { useEffect, useRef, useState } from "preact/hooks";
import { matching } from "./match";
import type { Data, Entry, Group } from "./types";

const AFTER = 90; // ms without a key before the server is asked

/** Ask the server for a text; the answer to an older text is dropped. */
function useAnswer(address: string, text: string): { found: Group[]; asking: boolean; failed: boolean } {
  const [answer, setAnswer] = useState({ text: "", found: [] as Group[], failed: false });
  const wanted = text.trim();
  useEffect(() => {
    if (!wanted || !address) return undefined;
    const stop = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const response = await fetch(`${address}&text=${encodeURIComponent(wanted)}`, { signal: stop.signal, cache: "no-store" });
        if (!response.ok) throw new Error(String(response.status));
        setAnswer({ text: wanted, found: (await response.json()) as Group[], failed: false });
      } catch {
        if (!stop.signal.aborted) setAnswer({ text: wanted, found: [], failed: true });
      }
    }, AFTER);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [address, wanted]);
  const current = answer.text === wanted;
  // What was found for a shorter text stays until the new answer is there, so that the list does not flicker.
  return { found: wanted && address ? answer.found : [], asking: Boolean(wanted && address) && !current, failed: current && answer.failed };
}

export function Palette({ data, onChoose, onClose }: { data: Data; onChoose: (entry: Entry) => void; onClose: () => void }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const dialog = useRef<HTMLDialogElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const { found, asking, failed } = useAnswer(data.address, text);
  const groups = [...matching(data.groups, text), ...found];
  const entries = groups.flatMap((group) => group.entries);
  const chosen = Math.min(at, Math.max(0, entries.length - 1));

  useEffect(() => dialog.current?.showModal(), []);
  useEffect(() => list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" }), [chosen, text]);

  const onKeyDown = (event: KeyboardEvent) => {
    event.stopPropagation();
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (step !== undefined && entries.length) {
      const next = chosen + step;
      setAt(Math.abs(step) === 1 ? (next + entries.length) % entries.length : Math.min(entries.length - 1, Math.max(0, next)));
    } else if (event.key === "Enter" && !event.isComposing) {
      if (entries[chosen]) onChoose(entries[chosen]);
    } else if (event.key === "Escape" || (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey))) {
      onClose();
    } else return;
    event.preventDefault();
  };

  let place = -1;
  const told = entries.length ? `${entries.length} found` : asking ? "Looking" : failed ? "The server does not answer; try again." : "Nothing is called that.";
  return (
    <dialog ref={dialog} class="palette" aria-label="Search and commands" onCancel={onClose} onClick={(event) => event.target === dialog.current && onClose()}>
      <input
        type="text"
        role="combobox"
        aria-label="Go to a page, cluster, label or image, or run an action"
        aria-expanded={entries.length > 0}
        aria-controls="palette-list"
        aria-activedescendant={entries.length ? `palette-${chosen}` : undefined}
        aria-autocomplete="list"
        autocomplete="off"
        spellcheck={false}
        autofocus
        placeholder="Page, cluster, label, file name or action"
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={onKeyDown}
      />
      <div ref={list} id="palette-list" role="listbox" aria-label="What was found" class={entries.length ? "found" : "found none"}>
        {groups.map((group) => (
          <div role="group" aria-label={group.title} key={group.title}>
            <div class="title" aria-hidden="true">
              {group.title}
            </div>
            {group.entries.map((entry) => {
              place += 1;
              const own = place;
              return (
                <div
                  role="option"
                  id={`palette-${own}`}
                  key={`${entry.kind}:${entry.value}`}
                  aria-selected={own === chosen}
                  class="entry"
                  onMouseMove={() => own !== chosen && setAt(own)}
                  onClick={() => onChoose(entry)}
                >
                  {entry.picture && <img src={entry.picture} alt="" loading="lazy" />}
                  <span class="name">{entry.title}</span>
                  {entry.hint && <span class="hint">{entry.hint}</span>}
                </div>
              );
            })}
          </div>
        ))}
      </div>
      <div class={entries.length ? "told quiet" : "told"} role="status">
        {told}
      </div>
    </dialog>
  );
}

// The list at the left: a card for each cluster with its pictures, name, size and quality. Only cards in view exist.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { count } from "../../shared/dom";
import { Icon } from "./icon";
import { clicked, kept, sorted, UNSORTED } from "./order";
import type { GroupItem, GroupsMessage } from "./protocol";
import type { Workbench } from "./workbench";

const WITH_PICTURES = 92; // px a card
const WITHOUT = 44;
const OVER = 3; // cards above and below the view
const GOOD = 0.25; // mean silhouette from which separation is called good, and weak below WEAK
const WEAK = 0.08;
const PAUSE = 350; // ms after the last letter of a filter

interface Props {
  bench: Workbench;
  message: GroupsMessage;
  items: GroupItem[];
  chosen: number[];
}

export function Groups({ bench, message, items, chosen }: Props) {
  const list = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [tall, setTall] = useState(600);
  const [text, setText] = useState(message.filter);
  const [merging, setMerging] = useState(false);
  const anchor = useRef<number | null>(null);
  const waiting = useRef(0);
  const { memory } = bench;
  const by = memory.sort ?? message.sorts[0]?.[0] ?? "size";
  if (memory.orderOf !== by || !memory.order) Object.assign(memory, { orderOf: by, order: sorted(items, by) });
  const ordered = kept(items, memory.order!, by);
  if (items.length) memory.order = ordered.map((item) => item.id);
  const wanted = text.trim().toLocaleLowerCase();
  const shown = wanted ? ordered.filter((item) => item.title.toLocaleLowerCase().includes(wanted)) : ordered;
  const ids = shown.map((item) => item.id);
  const pitch = items.some((item) => item.looks.length) ? WITH_PICTURES : WITHOUT;
  useEffect(() => {
    const watch = new ResizeObserver(() => setTall(list.current?.clientHeight ?? 600));
    watch.observe(list.current!);
    return () => watch.disconnect();
  }, []);
  const first = chosen.length ? ids.indexOf(chosen[0]!) : -1;
  useLayoutEffect(() => {
    const box = list.current!;
    if (first < 0 || !box.clientHeight) return;
    if (first * pitch < box.scrollTop || (first + 1) * pitch > box.scrollTop + box.clientHeight) box.scrollTop = Math.max(0, first * pitch - box.clientHeight / 3);
  }, [chosen[0], first >= 0, pitch]);
  const from = Math.max(0, Math.floor(top / pitch) - OVER);
  const to = Math.min(shown.length, Math.ceil((top + tall) / pitch) + OVER);
  const choose = (id: number, how: { toggle: boolean; range: boolean }) => {
    bench.choose(clicked(chosen, ids, id, anchor.current, how));
    if (!how.range) anchor.current = id;
  };
  const step = (event: KeyboardEvent) => {
    const at = first;
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: ids.length - 1 }[event.key];
    if (next !== undefined && ids[Math.max(0, Math.min(ids.length - 1, next))] !== undefined) {
      const id = ids[Math.max(0, Math.min(ids.length - 1, next))]!;
      anchor.current = id;
      bench.choose([id]);
    } else if (event.key === "Enter" && chosen.length === 1 && offers(message, "open")) bench.act("open_group", { part: "groups", value: chosen[0]! });
    else if (event.key === "Escape" && chosen.length) bench.choose([]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const several = chosen.filter((id) => id !== UNSORTED);
  return (
    <>
      <div class="head">
        <label class="find">
          <Icon name="search" />
          <input
            type="search"
            class="k-input"
            placeholder="Filter by name"
            aria-label="Filter by name"
            value={text}
            onInput={(event) => {
              const value = event.currentTarget.value;
              setText(value);
              clearTimeout(waiting.current);
              waiting.current = window.setTimeout(() => bench.act("filter_groups", { part: "groups", text: value }), PAUSE);
            }}
          />
        </label>
        {message.sorts.length > 1 && (
          <select class="k-select" aria-label="Order of the list" value={by} onChange={(event) => (Object.assign(memory, { sort: event.currentTarget.value, order: undefined }), bench.draw())}>
            {message.sorts.map(([value, title]) => (
              <option key={value} value={value}>
                {title}
              </option>
            ))}
          </select>
        )}
      </div>
      <div ref={list} class="cards" role="listbox" aria-multiselectable="true" aria-label={message.heading} tabIndex={0} onScroll={(event) => setTop(event.currentTarget.scrollTop)} onKeyDown={step}>
        <div style={{ height: `${shown.length * pitch}px` }} />
        {shown.slice(from, to).map((item, at) => (
          <Card key={item.id} item={item} place={from + at} all={shown.length} top={(from + at) * pitch} tall={pitch} bench={bench} chosen={chosen.includes(item.id)} onChoose={choose} />
        ))}
        {shown.length === 0 && <p class="k-empty">{items.length ? "No name holds these letters." : ""}</p>}
      </div>
      {chosen.length === 1 && chosen[0] !== UNSORTED && offers(message, "open") && (
        <div class="foot">
          <button type="button" class="k-button strong" onClick={() => bench.act("open_group", { part: "groups", value: chosen[0]! })}>
            <Icon name="label" /> {titleOf(message, "open")}
          </button>
        </div>
      )}
      {chosen.length > 0 &&
        message.actions
          .filter(([action]) => action !== "open" && action !== "merge")
          .map(([action, title]) => (
            <div key={action} class="foot">
              <button type="button" class="k-button strong" onClick={() => bench.act(action!, { part: "groups", values: chosen })}>
                {title}
              </button>
            </div>
          ))}
      {several.length > 1 && offers(message, "merge") && (
        <div class="foot">
          {merging ? (
            <form
              onSubmit={(event) => {
                event.preventDefault();
                setMerging(false);
                bench.act("merge_groups", { part: "groups", values: several, text: String(new FormData(event.currentTarget).get("name") ?? "").trim() });
              }}
            >
              <input class="k-input" name="name" maxLength={200} placeholder="Name, empty keeps the one there is" aria-label="Name of the merged cluster" ref={(field) => field?.focus({ preventScroll: true })} onKeyDown={(event) => (event.key === "Escape" ? setMerging(false) : undefined, event.key !== "Enter" && event.stopPropagation())} />
              <button type="submit" class="k-button strong">
                Merge
              </button>
            </form>
          ) : (
            <button type="button" class="k-button strong" onClick={() => setMerging(true)}>
              <Icon name="merge" /> Merge {count(several.length)} {message.heading.toLowerCase()}
            </button>
          )}
        </div>
      )}
    </>
  );
}

function offers(message: GroupsMessage, action: string): boolean {
  return message.actions.some(([name]) => name === action);
}

function titleOf(message: GroupsMessage, action: string): string {
  return message.actions.find(([name]) => name === action)?.[1] ?? "";
}

interface CardProps {
  item: GroupItem;
  place: number;
  all: number;
  top: number;
  tall: number;
  bench: Workbench;
  chosen: boolean;
  onChoose(id: number, how: { toggle: boolean; range: boolean }): void;
}

function Card({ item, place, all, top, tall, bench, chosen, onChoose }: CardProps) {
  const palette: string[] = bench.data.gallery.palette;
  const color = item.color < 0 ? "var(--k-quiet)" : palette[item.color % palette.length];
  const told = [`${item.title} ${count(item.size)} images`, separation(item.quality), item.note, item.why].filter(Boolean).join(", ");
  return (
    <div
      role="option"
      aria-selected={chosen}
      aria-setsize={all}
      aria-posinset={place + 1}
      aria-label={told}
      class="group-card"
      title={told}
      style={{ transform: `translateY(${top}px)`, height: `${tall}px` }}
      onClick={(event) => onChoose(item.id, { toggle: event.ctrlKey || event.metaKey, range: event.shiftKey })}
      onDblClick={() => item.id !== UNSORTED && bench.act("open_group", { part: "groups", value: item.id })}
    >
      {item.looks.length > 0 && <img class="looks" src={`/strip/${item.looks.join("-")}`} alt="" draggable={false} loading="lazy" />}
      <span class="line">
        <span class="dot" style={{ background: color }} />
        <span class={item.named ? "word named" : "word"}>{item.title}</span>
        {item.note && <Icon name="check" />}
        {item.why && <Icon name="why" />}
{" "}
        <span class="figure">{count(item.size)}</span>
      </span>
      {item.quality !== null && (
        <span class={`quality ${item.quality >= GOOD ? "good" : item.quality >= WEAK ? "fair" : "weak"}`} aria-hidden="true">
          <span style={{ width: `${Math.round(100 * Math.max(0.02, Math.min(1, item.quality / 0.6)))}%` }} />
        </span>
      )}
    </div>
  );
}

function separation(quality: number | null): string {
  if (quality === null) return "";
  const word = quality >= GOOD ? "well separated" : quality >= WEAK ? "fairly separated" : "weakly separated";
  return `${word} (silhouette ${quality.toFixed(2).replace(/^0/, "")})`;
}

// The bar of filters above the gallery: a chip for each that holds, a menu of what there is, and views by name.

import { useEffect, useRef, useState } from "preact/hooks";
import { count } from "../../shared/dom";
import { Icon } from "./icon";
import type { ColumnItem, FiltersMessage } from "./protocol";
import { parse, replaced, type Rule, shown, write } from "./where";
import type { Workbench } from "./workbench";

interface Props {
  bench: Workbench;
  message: FiltersMessage;
}

export function Filters({ bench, message }: Props) {
  const [open, setOpen] = useState(""); // "", "+" for the menu, "views", or the name of a column
  const place = useRef<HTMLDivElement>(null);
  const rules = parse(message.where);
  useEffect(() => {
    if (!open) return undefined;
    const close = (event: Event) => !event.composedPath().includes(place.current!) && setOpen("");
    document.addEventListener("pointerdown", close);
    return () => document.removeEventListener("pointerdown", close);
  }, [open]);
  const ask = (next: Rule[]) => bench.act("where", { part: "gallery", text: write(next) });
  const column = message.columns.find(({ name }) => name === open);
  const without = (name: string) => ask(rules.filter((rule) => rule.name !== name));
  return (
    <div class="filters" ref={place} role="toolbar" aria-label="Filters" onKeyDown={(event) => event.key === "Escape" && open && (setOpen(""), event.stopPropagation())}>
      <button type="button" class="k-button strong small" aria-expanded={open === "+"} onClick={() => setOpen(open === "+" ? "" : "+")}>
        <Icon name="plus" /> Filter
      </button>
      {rules.map((rule) => (
        <span key={rule.name} class="filter-chip">
          <button type="button" class="use" onClick={() => setOpen(open === rule.name ? "" : rule.name)}>
            {words(rule, message.columns)}
          </button>
          <button type="button" class="k-button tiny" aria-label={`Take away the filter by ${rule.name}`} title="Take away" onClick={() => without(rule.name)}>
            <Icon name="close" />
          </button>
        </span>
      ))}
      <span class="k-space" />
      <button type="button" class="k-button small" aria-expanded={open === "views"} title="Keep what you look at under a name" onClick={() => setOpen(open === "views" ? "" : "views")}>
        Views
      </button>
      {open === "+" && (
        <div class="menu down" role="menu">
          <button type="button" class="option" role="menuitem" onClick={() => setOpen("path")}>
            file name or folder
          </button>
          {message.columns.map(({ name, title }) => (
            <button key={name} type="button" class="option" role="menuitem" onClick={() => setOpen(name)}>
              {title}
            </button>
          ))}
        </div>
      )}
      {open === "path" && <Text rules={rules} ask={ask} done={() => setOpen("")} />}
      {column && column.bins.length > 0 && <Range key={column.name} column={column} rules={rules} ask={ask} />}
      {column && column.bins.length === 0 && <Words key={column.name} column={column} rules={rules} ask={ask} />}
      {open === "views" && <Views bench={bench} message={message} done={() => setOpen("")} />}
    </div>
  );
}

function words(rule: Rule, columns: readonly ColumnItem[]): string {
  const column = columns.find(({ name }) => name === rule.name);
  const title = column?.title ?? rule.name;
  if ("text" in rule) return `name holds “${rule.text}”`;
  if ("words" in rule) return `${title}: ${rule.words.map((word) => word || "(top)").join(", ")}`;
  return `${title} ${shown(rule.low, column?.dates ?? false)} – ${shown(rule.high, column?.dates ?? false)}`;
}

interface Editor {
  rules: Rule[];
  ask(rules: Rule[]): void;
}

function Text({ rules, ask, done }: Editor & { done(): void }) {
  const held = rules.find((rule) => "text" in rule);
  return (
    <form
      class="menu down"
      onSubmit={(event) => {
        event.preventDefault();
        const text = String(new FormData(event.currentTarget).get("text") ?? "").trim();
        ask(text ? replaced(rules, { name: "path", text }) : rules.filter(({ name }) => name !== "path"));
        done();
      }}
    >
      <input class="k-input" name="text" defaultValue={held && "text" in held ? held.text : ""} placeholder="part of the name or folder" aria-label="Part of the file name or folder" ref={(field) => field?.focus({ preventScroll: true })} onKeyDown={(event) => event.key !== "Escape" && event.stopPropagation()} />
    </form>
  );
}

function Range({ column, rules, ask }: Editor & { column: ColumnItem }) {
  const held = rules.find((rule) => rule.name === column.name);
  const start: [number, number] = held && "low" in held ? [held.low, held.high] : [column.low, column.high];
  const [[low, high], setEnds] = useState(start);
  const dragging = useRef<number | null>(null);
  const most = Math.max(...column.bins, 1);
  const step = (column.high - column.low) / column.bins.length;
  const binOf = (event: PointerEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    return Math.max(0, Math.min(column.bins.length - 1, Math.floor(((event.clientX - box.left) / box.width) * column.bins.length)));
  };
  const cover = (a: number, b: number) => setEnds([column.low + Math.min(a, b) * step, column.low + (Math.max(a, b) + 1) * step]);
  const apply = (ends: [number, number]) => ask(replaced(rules, { name: column.name, low: Number(ends[0].toPrecision(6)), high: Number(ends[1].toPrecision(6)) }));
  const inside = (bin: number) => column.low + (bin + 0.5) * step >= low && column.low + (bin + 0.5) * step <= high;
  const end = (which: 0 | 1) => (
    <input
      type="range"
      class="slider"
      min={column.low}
      max={column.high}
      step={step / 4 || 1}
      value={which ? high : low}
      aria-label={`${which ? "Largest" : "Smallest"} ${column.title}`}
      onInput={(event) => {
        const value = Number(event.currentTarget.value);
        setEnds(which ? [Math.min(low, value), value] : [value, Math.max(high, value)]);
      }}
      onChange={() => apply([low, high])}
    />
  );
  return (
    <div class="menu down">
      <strong>{column.title}</strong>
      <svg
        class="histogram"
        viewBox={`0 0 ${column.bins.length} 40`}
        preserveAspectRatio="none"
        aria-hidden="true"
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          dragging.current = binOf(event);
          cover(dragging.current, dragging.current);
        }}
        onPointerMove={(event) => dragging.current !== null && cover(dragging.current, binOf(event))}
        onPointerUp={() => {
          dragging.current = null;
          apply([low, high]);
        }}
      >
        {column.bins.map((n, bin) => (
          <rect key={bin} x={bin + 0.06} width={0.88} y={40 - (38 * Math.sqrt(n)) / Math.sqrt(most)} height={(38 * Math.sqrt(n)) / Math.sqrt(most)} class={inside(bin) ? "in" : ""} />
        ))}
      </svg>
      {end(0)}
      {end(1)}
      <span class="quiet">
        {shown(low, column.dates)} – {shown(high, column.dates)}
      </span>
    </div>
  );
}

function Words({ column, rules, ask }: Editor & { column: ColumnItem }) {
  const held = rules.find((rule) => rule.name === column.name);
  const chosen = held && "words" in held ? held.words : [];
  const toggle = (word: string) => {
    const next = chosen.includes(word) ? chosen.filter((other) => other !== word) : [...chosen, word];
    ask(next.length ? replaced(rules, { name: column.name, words: next }) : rules.filter(({ name }) => name !== column.name));
  };
  return (
    <div class="menu down">
      <strong>{column.title}</strong>
      <div class="options">
        {column.choices.map(([word, n]) => (
          <label key={word} class="option">
            <input type="checkbox" checked={chosen.includes(String(word))} onChange={() => toggle(String(word))} />
            <span class="word">{word === "" ? "(top folder)" : word}</span>
            <span class="quiet">{count(Number(n))}</span>
          </label>
        ))}
      </div>
    </div>
  );
}

function Views({ bench, message, done }: Props & { done(): void }) {
  return (
    <div class="menu down right">
      {message.views.map((name) => (
        <span key={name} class="option">
          <button type="button" class="use word" onClick={() => (bench.act("view", { part: "gallery", text: name }), done())}>
            {name}
          </button>
          <button type="button" class="k-button tiny" aria-label={`Forget the view ${name}`} title="Forget it" onClick={() => bench.act("forget_view", { part: "gallery", text: name })}>
            <Icon name="close" />
          </button>
        </span>
      ))}
      {message.views.length === 0 && <p class="quiet">Keep clusters, filters, colours and drawing under a name.</p>}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const text = String(new FormData(event.currentTarget).get("name") ?? "").trim();
          if (text) bench.act("keep_view", { part: "gallery", text });
          done();
        }}
      >
        <input class="k-input" name="name" maxLength={80} placeholder="Name of this view" aria-label="Name of this view" onKeyDown={(event) => event.key !== "Escape" && event.stopPropagation()} />
      </form>
    </div>
  );
}

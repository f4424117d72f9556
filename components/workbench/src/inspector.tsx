// Everything about the cluster that is worked on: name, who said the labels, twin, grow, audit, conflicts, history.

import { useEffect, useRef, useState } from "preact/hooks";
import { NameField } from "../../name_field/src/field";
import { count } from "../../shared/dom";
import { Icon } from "./icon";
import type { AuditMessage, InspectorMessage, NextMessage, TwinMessage } from "./protocol";
import type { Workbench } from "./workbench";

interface Props {
  bench: Workbench;
  message: InspectorMessage;
}

export function Inspector({ bench, message }: Props) {
  const { audit } = message;
  return (
    <>
      <Name bench={bench} message={message} />
      {audit?.open ? <AuditAnswer bench={bench} audit={audit} size={message.size} /> : null}
      <div class="sections">
        <Next bench={bench} next={message.next} />
        <States bench={bench} message={message} />
        {message.twin && <Twin bench={bench} message={message} twin={message.twin} />}
        {bench.near().length > 0 && <Grow key={message.subject} bench={bench} ids={bench.near()} subject={message.subject} />}
        {audit && !audit.open && (
          <section>
            <h3>Audit</h3>
            {audit.words && (
              <p class="sealed">
                <Icon name="check" /> {audit.words}
              </p>
            )}
            <button type="button" class="k-button strong" title="You answer for each image of a random sample whether it belongs; an exact bound on the purity follows" onClick={() => bench.act("audit_start", { part: "inspector", value: message.subject })}>
              <Icon name="check" /> Check a random sample
            </button>
          </section>
        )}
        {message.suggests && (
          <section>
            <button type="button" class="k-button strong" onClick={() => bench.act("suggest_names", { part: "inspector" })}>
              <Icon name="magic" /> Suggest names
            </button>
          </section>
        )}
        {message.conflicts.length > 0 && (
          <details>
            <summary>
              {count(message.conflicts.length)} {message.conflicts.length === 1 ? "conflict" : "conflicts"} with your labels
            </summary>
            <p class="quiet">Where your labels and this clustering disagree, your labels win.</p>
            {message.conflicts.map((conflict, at) => (
              <div key={at} class="conflict">
                <p>{conflict.sentence}</p>
                <Looks ids={conflict.looks} />
              </div>
            ))}
          </details>
        )}
        <History bench={bench} message={message} />
      </div>
    </>
  );
}

function Name({ bench, message }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const field = useRef<NameField | null>(null);
  useEffect(() => {
    const root = document.createElement("div");
    root.className = "k-name_field";
    place.current!.append(root);
    field.current = new NameField(root, { key: bench.data.key, label: "Name", button: "Name it", placeholder: "What is this?" }, { outbox: bench.outbox, with: () => ({ part: "inspector", also: bench.alsoNamed }), empty: () => bench.nextByEnter() });
    return () => root.remove();
  }, []);
  useEffect(() => {
    field.current?.update({ subject: message.subject, value: message.value, names: message.names, acted: message.acted });
  });
  const done = message.total ? (100 * message.named) / message.total : 0;
  return (
    <div class="naming">
      <div class="steps">
        <button type="button" class="k-button" aria-label="Previous cluster" title="Previous cluster (Alt + Left)" onClick={() => bench.step(-1)}>
          <Icon name="left" />
        </button>
        <span class="title" title={message.title}>
          {message.title} <span class="quiet">{count(message.size)}</span>
        </span>
        <button type="button" class="k-button" aria-label="Next cluster" title="Next cluster (Alt + Right)" onClick={() => bench.step(1)}>
          <Icon name="right" />
        </button>
      </div>
      {message.why && (
        <p class="quiet" title="How far a measure of the files tells which images are in this cluster: 1 tells them all, 0 is chance. Compare, Analyse says more">
          {message.why[0]!.toUpperCase()}
          {message.why.slice(1)}
        </p>
      )}
      <div ref={place} />
      {message.yours > 0 && (
        <label class="yours">
          <input type="checkbox" checked={bench.alsoNamed} onChange={(event) => ((bench.alsoNamed = event.currentTarget.checked), bench.draw())} />
          {count(message.yours)} of them labelled one by one {message.yours === 1 ? "keeps its" : "keep their"} label; change {message.yours === 1 ? "it" : "them"} too
        </label>
      )}
      <div class="progress" role="progressbar" aria-valuenow={message.named} aria-valuemin={0} aria-valuemax={message.total} aria-label="Clusters named">
        <span style={{ width: `${done}%` }} />
      </div>
      <p class="quiet">
        {count(message.named)} of {count(message.total)} {message.total === 1 ? "cluster" : "clusters"} named
      </p>
    </div>
  );
}

/** The best things to do next; Enter does the first where nothing is typed. */
function Next({ bench, next }: { bench: Workbench; next: NextMessage }) {
  return (
    <section class="next">
      <h3 title="What brings most right labels a click, as far as can be told. Validate: tick what is odd, confirm the rest">Next</h3>
      {next.moves.map((move, at) => (
        <div key={`${move.kind}${move.cluster}${move.label}`} class="line">
        <button type="button" class="state" disabled={bench.deciding} title={`${move.words}: ${move.figure}${at ? "" : " (Enter)"}`} onClick={() => bench.next(move)}>
          <span class="what" dir="auto">
            {move.words}
          </span>{" "}
          <span class="figure">{move.figure}</span>
        </button>
        <button type="button" class="k-button skip" disabled={bench.deciding} aria-label={`Not now: ${move.words}`} title="Not now: it does not come back in this window" onClick={() => bench.notNow(move)}>
          <Icon name="close" />
        </button>
        </div>
      ))}
      <p class="quiet" role="status">
        {next.stop}
      </p>
    </section>
  );
}

function States({ bench, message }: Props) {
  const { filter } = bench.data.gallery as { filter: string };
  return (
    <section>
      <h3>Who said the labels</h3>
      <div class="states">
        {message.states.map(([value, title, number]) => (
          <button key={value} type="button" class="state" aria-pressed={filter === value} title={filter === value ? "Show all images of the cluster" : "Show only these"} onClick={() => bench.act("filter", { part: "inspector", text: filter === value ? "" : String(value) })}>
            <span>{title}</span> <span class="figure">{count(Number(number))}</span>
          </button>
        ))}
      </div>
    </section>
  );
}

function Twin({ bench, message, twin }: Props & { twin: TwinMessage }) {
  return (
    <section>
      <h3 title={`The nearest other cluster; cosine between the centres: ${twin.cosine.toFixed(2).replace(/^0/, "")}`}>Same thing?</h3>
      <p class="word">{message.title}</p>
      <Looks ids={twin.own} />
      <p class="word">{twin.title}</p>
      <Looks ids={twin.looks} />
      <div class="row">
        <button type="button" class="k-button strong" disabled={bench.deciding} title="They become one cluster (m)" onClick={() => bench.answerTwin("merge_twin", message.subject, twin)}>
          <Icon name="merge" /> Merge
        </button>
        <button type="button" class="k-button" disabled={bench.deciding} title="They are not offered again (d)" onClick={() => bench.answerTwin("different", message.subject, twin)}>
          <Icon name="apart" /> Different
        </button>
      </div>
    </section>
  );
}

/** The nearest images outside, nearest first: go as far as they are right. */
function Grow({ bench, ids, subject }: { bench: Workbench; ids: number[]; subject: number }) {
  const { growing } = bench;
  const far = Math.max(1, Math.min(growing, ids.length));
  return (
    <section>
      <h3 title="The nearest images outside, nearest first: go as far as they are right">Grow</h3>
      <Looks ids={ids.slice(0, far)} wrap />
      {ids.length > 1 && (
        <label class="row">
          <span class="quiet">nearest</span>
          <input type="range" class="slider" min={1} max={ids.length} value={far} aria-label="Nearest images outside" onInput={(event) => ((bench.growing = Number(event.currentTarget.value)), bench.draw())} />
        </label>
      )}
      <div class="row">
        <button type="button" class="k-button strong" title="All of these belong to it (g)" onClick={() => bench.grow(subject, ids.slice(0, far))}>
          <Icon name="plus" /> Take {count(far)} {far === 1 ? "image" : "images"}
        </button>
        <button type="button" class="k-button" disabled={far < 2} title="Not all of them: look at the nearer half (h)" onClick={() => bench.halve()}>
          Halve
        </button>
      </div>
    </section>
  );
}

function AuditAnswer({ bench, audit, size }: { bench: Workbench; audit: AuditMessage; size: number }) {
  const wrong = Math.min(bench.gallery.selection.count, audit.bounds.length - 1);
  const bound = audit.bounds[wrong] ?? 0;
  return (
    <section class="answer">
      <h3>Audit under way</h3>
      <p>
        <strong>{audit.sample < size ? `${count(audit.sample)} random images` : `All ${count(size)} images`}</strong>
        {audit.sample < size && ` of ${count(size)}`}. Look at each and select those that do not belong here.
      </p>
      <p class="quiet" role="status">
        {audit.seen ? `${count(wrong)} wrong of ${count(audit.sample)}: at least ${(100 * bound).toFixed(0)}% right, with 95% confidence.` : "Scroll to the last image first: the answer is for all of them."}
      </p>
      <div class="row">
        <button type="button" class="k-button primary" disabled={!audit.seen} title="The bound is exported with these labels" onClick={() => bench.act("audit_keep", { part: "inspector" })}>
          {wrong ? `Keep: ${count(wrong)} wrong, the others right` : "All right"}
        </button>
        <button type="button" class="k-button" onClick={() => bench.act("audit_stop", { part: "inspector" })}>
          Stop
        </button>
      </div>
    </section>
  );
}

function History({ bench, message }: Props) {
  const [open, setOpen] = useState(false);
  if (!message.history.length) return null;
  const older = message.steps - message.history.length;
  return (
    <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        History <span class="quiet">{count(message.steps)} {message.steps === 1 ? "step" : "steps"}</span>
      </summary>
      <ol class="history">
        {message.history.map((item) => (
          <li key={item.id} class={item.effective ? "" : "undone"}>
            <span>
              {item.sentence}
              {item.where && <span class="quiet"> · {item.where}</span>}
            </span>
            {item.effective && (
              <button type="button" class="k-button" aria-label={`Back to before: ${item.sentence}`} title="Back to before this" onClick={() => bench.act("jump_back", { part: "inspector", value: item.before })}>
                <Icon name="back" />
              </button>
            )}
          </li>
        ))}
      </ol>
      {older > 0 && (
        <button type="button" class="k-button" onClick={() => bench.act("older", { part: "inspector" })}>
          Older ({count(older)})
        </button>
      )}
    </details>
  );
}

function Looks({ ids, wrap = false }: { ids: number[]; wrap?: boolean }) {
  return (
    <div class={wrap ? "looks-row wrap" : "looks-row"}>
      {ids.map((id) => (
        <img key={id} src={`/thumb/${id}`} alt="" draggable={false} loading="lazy" />
      ))}
    </div>
  );
}

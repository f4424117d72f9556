// Asks `address` for a version every `seconds`; when it is not the one the page was drawn from, tells Python, which
// runs the page. The same answer is told again only after a while, because a run may take longer than a question.
const AGAIN = 10;
const watches = ((globalThis.__kindred ??= { channels: new Map(), waiting: new Set() }).watches ??= new Map());

async function ask(watch) {
  if (!watch.place.isConnected) {
    clearInterval(watch.timer);
    watches.delete(watch.key);
    return;
  }
  if (document.hidden || watch.asking) return;
  watch.asking = true;
  try {
    const answer = await fetch(watch.address, { cache: "no-store" });
    const version = answer.ok ? await answer.text() : watch.version;
    if (version === watch.version) {
      watch.told = undefined;
    } else if (version !== watch.told || ++watch.silent >= AGAIN) {
      watch.told = version;
      watch.silent = 0;
      watch.tell("changed", version);
    }
  } catch {
    // The server is away: Streamlit says so, and the next question is asked all the same.
  } finally {
    watch.asking = false;
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  if (!data) return;
  const watch = watches.get(data.key) ?? {};
  watches.set(data.key, Object.assign(watch, data, { place: parentElement, tell: setTriggerValue }));
  watch.timer ??= setInterval(() => ask(watch), data.seconds * 1000);
}

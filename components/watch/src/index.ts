// Asks `address` for a version every `seconds`; when it is not the one the page was drawn from, tells Python, which
// runs the page. The same answer is told again only after a while, because a run may take longer than a question.

import type { Say } from "../../shared/channels";
import { shared } from "../../shared/store";

/** What Python says (components/watch/face.py). */
interface Asked {
  key: string;
  address: string;
  version: string;
  seconds: number;
}

interface Watch extends Asked, Pick<Say, "setTriggerValue"> {
  place: HTMLElement;
  asking?: boolean;
  told?: string | undefined;
  silent: number; // answers since it was told
  timer?: ReturnType<typeof setInterval>;
}

const AGAIN = 10;
const watches = (shared.watches ??= new Map()) as Map<string, Watch>;

async function ask(watch: Watch): Promise<void> {
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
      watch.setTriggerValue("changed", version);
    }
  } catch {
    // The server is away: Streamlit says so, and the next question is asked all the same.
  } finally {
    watch.asking = false;
  }
}

interface Call extends Say {
  data: Asked | null;
  parentElement: HTMLElement;
}

export default function ({ data, parentElement, setTriggerValue }: Call): void {
  if (!data) return;
  const watch = Object.assign(watches.get(data.key) ?? { silent: 0 }, data, { place: parentElement, setTriggerValue }) as Watch;
  watches.set(data.key, watch);
  watch.timer ??= setInterval(() => ask(watch), data.seconds * 1000);
}

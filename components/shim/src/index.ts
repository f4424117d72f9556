// Stands in for the code of a component, which arrives by a carrier of its own (components/transfer.py: send_code).
// transfer.py writes the component's name in place of PART.

import { shared } from "../../shared/store";

interface Call {
  parentElement: HTMLElement;
}

interface Part {
  (call: Call): (() => void) | undefined;
  leave?(parentElement: HTMLElement): void;
}

const latest = new WeakMap<HTMLElement, Call>();

export default function (call: Call): (() => void) | undefined {
  const code = shared.PART as Part | undefined;
  if (code) return code(call);
  latest.set(call.parentElement, call);
  const arrived = (event: string) => {
    if (event !== "code:PART") return;
    shared.waiting.delete(arrived);
    if (latest.get(call.parentElement) === call && call.parentElement.isConnected !== false) (shared.PART as Part)(call);
  };
  shared.waiting.add(arrived);
  return () => (shared.PART as Part | undefined)?.leave?.(call.parentElement);
}

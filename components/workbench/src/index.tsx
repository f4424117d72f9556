// The workbench as a component. Python's face is components/workbench/face.py.

import { register } from "../../shared/channels";
import type { WorkbenchMessage } from "./protocol";
import { Workbench } from "./workbench";

interface Call {
  data: WorkbenchMessage | null;
  parentElement: HTMLElement | ShadowRoot;
  setStateValue(name: string, value: unknown): void;
  setTriggerValue(name: string, value: unknown): void;
}

const benches = new WeakMap<Element, Workbench>();

function mount({ data, parentElement, setStateValue, setTriggerValue }: Call): (() => void) | undefined {
  const root = parentElement.querySelector<HTMLElement>(".k-workbench");
  if (!root || !data) return undefined;
  let bench = benches.get(root);
  if (!bench) {
    bench = new Workbench(root, data);
    benches.set(root, bench);
  }
  bench.update(data, { setStateValue, setTriggerValue });
  return () => leave(parentElement);
}

/** Streamlit also cleans up calls that were overtaken; only an element that left the page is destroyed. */
function leave(parentElement: HTMLElement | ShadowRoot): void {
  const root = parentElement.querySelector(".k-workbench");
  const bench = root && benches.get(root);
  if (!bench || root.isConnected) return;
  bench.destroy();
  benches.delete(root);
}

register("workbench", mount, leave);

export default function (): void {}

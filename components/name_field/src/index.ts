// The name field as a component of its own. Python's face is components/name_field/face.py.

import { register, type Say } from "../../shared/channels";
import { type Made, NameField, type Told } from "./field";

interface Call extends Say {
  data: (Made & Told) | null;
  parentElement: HTMLElement | ShadowRoot;
}

const fields = new WeakMap<Element, NameField>();

function mount({ data, parentElement, setStateValue, setTriggerValue }: Call): (() => void) | undefined {
  const root = parentElement.querySelector<HTMLElement>(".k-name_field");
  if (!root || !data) return undefined;
  let field = fields.get(root);
  if (!field) {
    field = new NameField(root, data);
    fields.set(root, field);
  }
  field.say = { setStateValue, setTriggerValue };
  field.update(data);
  return () => leave(parentElement);
}

function leave(parentElement: HTMLElement | ShadowRoot): void {
  const root = parentElement.querySelector(".k-name_field");
  const field = root && fields.get(root);
  if (!field || root.isConnected) return;
  field.outbox.stop();
  fields.delete(root);
}

register("name_field", mount, leave);

export default function (): void {}

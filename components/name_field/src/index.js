// The name field as a component of its own. Python's face is components/name_field/face.py.

import { register } from "../../shared/channels.js";
import { NameField } from "./field.js";

const fields = new WeakMap();

function mount({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".k-name_field");
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

function leave(parentElement) {
  const root = parentElement.querySelector(".k-name_field");
  const field = root && fields.get(root);
  if (!field || root.isConnected) return;
  field.outbox.stop();
  fields.delete(root);
}

register("name_field", mount, leave);

export default function () {}

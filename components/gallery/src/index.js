// The gallery as a component of its own. Python's face is components/gallery/face.py.

import { register } from "../../shared/channels";
import { Gallery } from "./gallery.js";

const galleries = new WeakMap();

function mount({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".k-gallery");
  if (!root || !data) return undefined;
  let gallery = galleries.get(root);
  if (!gallery) {
    gallery = new Gallery(root, data.key);
    galleries.set(root, gallery);
  }
  gallery.say = { setStateValue, setTriggerValue };
  gallery.update(data);
  return () => leave(parentElement);
}

/** Streamlit also cleans up calls that were overtaken; only an element that left the page is destroyed. */
function leave(parentElement) {
  const root = parentElement.querySelector(".k-gallery");
  const gallery = root && galleries.get(root);
  if (!gallery || root.isConnected) return;
  gallery.destroy();
  galleries.delete(root);
}

register("gallery", mount, leave);

export default function () {}

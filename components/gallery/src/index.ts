// The gallery as a component of its own. Python's face is components/gallery/face.py.

import { register, type Say } from "../../shared/channels";
import { Gallery } from "./gallery";
import type { GalleryData } from "./types";

interface Call extends Say {
  data: GalleryData | null;
  parentElement: HTMLElement | ShadowRoot;
}

const galleries = new WeakMap<Element, Gallery>();

function mount({ data, parentElement, setStateValue, setTriggerValue }: Call): (() => void) | undefined {
  const root = parentElement.querySelector<HTMLElement>(".k-gallery");
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
function leave(parentElement: HTMLElement | ShadowRoot): void {
  const root = parentElement.querySelector(".k-gallery");
  const gallery = root && galleries.get(root);
  if (!gallery || root.isConnected) return;
  gallery.destroy();
  galleries.delete(root);
}

register("gallery", mount, leave);

export default function (): void {}

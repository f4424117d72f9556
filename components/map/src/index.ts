// The map as a component of its own. Python's face is components/map/face.py.

import { register, type Say } from "../../shared/channels";
import { h } from "../../shared/dom";
import { ScatterMap } from "./map";
import { hasWebGL } from "./plot";
import type { MapData } from "./types";

interface Call extends Say {
  data: MapData | null;
  parentElement: HTMLElement | ShadowRoot;
}

const maps = new WeakMap<Element, ScatterMap>();

/** Make a map, or leave a note where the browser cannot draw it. */
function begin(root: HTMLElement, data: MapData): ScatterMap | null {
  if (root.dataset.failed) return null;
  try {
    if (hasWebGL()) {
      const map = new ScatterMap(root, data);
      maps.set(root, map);
      return map;
    }
  } catch (error) {
    console.error("Kindred map: WebGL is here but unusable", error);
  }
  root.dataset.failed = "yes";
  root.replaceChildren(h("p", { class: "k-empty" }, "This browser has no WebGL; a simpler chart takes the map's place."));
  return null;
}

function mount({ data, parentElement, setStateValue, setTriggerValue }: Call): (() => void) | undefined {
  const root = parentElement.querySelector<HTMLElement>(".k-map");
  if (!root || !data) return undefined;
  let map = maps.get(root) ?? null;
  if (!map) {
    map = begin(root, data);
    if (!map) {
      setStateValue("webgl", false);
      return undefined;
    }
  }
  map.say = { setStateValue, setTriggerValue };
  map.update(data);
  return () => leave(parentElement);
}

/** Streamlit also cleans up calls that were overtaken; only an element that left the page is destroyed. */
function leave(parentElement: HTMLElement | ShadowRoot): void {
  const root = parentElement.querySelector(".k-map");
  const map = root && maps.get(root);
  if (!map || root.isConnected) return;
  map.destroy();
  maps.delete(root);
}

register("map", mount, leave);

export default function (): void {}

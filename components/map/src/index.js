// The map as a component of its own. Python's face is components/map/face.py.

import { register } from "../../shared/channels";
import { h } from "../../shared/dom";
import { ScatterMap } from "./map.js";
import { hasWebGL } from "./plot.js";

const maps = new WeakMap();

/** Make a map, or leave a note where the browser cannot draw it. */
function begin(root, data) {
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

function mount({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".k-map");
  if (!root || !data) return undefined;
  let map = maps.get(root);
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
function leave(parentElement) {
  const root = parentElement.querySelector(".k-map");
  const map = root && maps.get(root);
  if (!map || root.isConnected) return;
  map.destroy();
  maps.delete(root);
}

register("map", mount, leave);

export default function () {}

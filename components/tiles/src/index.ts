// Draws the tiles anew only where something about them changed, so that pictures do not flicker and focus stays.

import type { Say } from "../../shared/channels";

/** One tile, as components/tiles/face.py says. */
interface Item {
  id: string;
  picture: string;
  title: string;
  words: string;
  mark: string;
  hint: string;
}

interface TilesData {
  label: string;
  width: number;
  ratio: number;
  chosen: string;
  tiles: Item[];
}

const PARTS = ["mark", "title", "words"] as const;

type Tile = { root: HTMLButtonElement; picture: HTMLElement; image: HTMLImageElement; seen: string } & Record<(typeof PARTS)[number], HTMLElement>;

interface State {
  grid: HTMLElement;
  tiles: Map<string, Tile>;
  choose?(id: string): void;
}

const states = new WeakMap<HTMLElement, State>();

function tileOf(state: State, id: string): Tile {
  let tile = state.tiles.get(id);
  if (tile) return tile;
  const root = document.createElement("button");
  root.type = "button";
  root.className = "tile";
  const picture = document.createElement("span");
  picture.className = "picture";
  const image = document.createElement("img");
  image.alt = "";
  image.loading = "lazy";
  image.decoding = "async";
  image.addEventListener("load", () => image.classList.add("here"));
  const [mark, title, words] = PARTS.map((name) => {
    const part = document.createElement("span");
    part.className = name;
    part.dir = "auto";
    return part;
  }) as [HTMLElement, HTMLElement, HTMLElement];
  picture.append(image, mark);
  root.append(picture, title, words);
  root.addEventListener("click", () => state.choose?.(id));
  tile = { root, picture, image, mark, title, words, seen: "" };
  state.tiles.set(id, tile);
  return tile;
}

function draw(tile: Tile, item: Item, data: TilesData): void {
  const current = item.id === data.chosen;
  const now = JSON.stringify([item, current, data.ratio]);
  if (tile.seen === now) return;
  tile.seen = now;
  tile.root.classList.toggle("plain", !item.picture);
  tile.picture.style.display = item.picture ? "" : "none";
  tile.picture.style.aspectRatio = String(data.ratio);
  if (item.picture && tile.image.getAttribute("src") !== item.picture) {
    tile.image.classList.remove("here");
    tile.image.src = item.picture;
  }
  for (const name of PARTS) {
    tile[name].textContent = item[name];
    tile[name].hidden = !item[name];
    tile[name].style.display = item[name] ? "" : "none";
  }
  tile.root.title = item.hint || item.title;
  if (current) tile.root.setAttribute("aria-current", "true");
  else tile.root.removeAttribute("aria-current");
}

interface Call extends Say {
  data: TilesData | null;
  parentElement: HTMLElement;
}

export default function ({ data, parentElement, setTriggerValue }: Call): void {
  if (!data) return;
  let state = states.get(parentElement);
  if (!state) {
    const grid = document.createElement("div");
    grid.className = "grid";
    grid.setAttribute("role", "group");
    parentElement.append(grid);
    state = { grid, tiles: new Map() };
    states.set(parentElement, state);
  }
  state.choose = (id) => setTriggerValue("chosen", id);
  state.grid.setAttribute("aria-label", data.label);
  state.grid.style.gridTemplateColumns = `repeat(auto-fill, minmax(min(100%, ${data.width}px), 1fr))`;
  const wanted = data.tiles.map((item) => {
    const tile = tileOf(state, item.id);
    draw(tile, item, data);
    return tile.root;
  });
  const known = new Set(data.tiles.map((item) => item.id));
  for (const [id, tile] of state.tiles) {
    if (known.has(id)) continue;
    tile.root.remove();
    state.tiles.delete(id);
  }
  wanted.forEach((root, at) => {
    if (state.grid.children[at] !== root) state.grid.insertBefore(root, state.grid.children[at] ?? null);
  });
}

// Draws the tiles anew only where something about them changed, so that pictures do not flicker and focus stays.
const states = new WeakMap();

function tileOf(state, id) {
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
  const [mark, title, words] = ["mark", "title", "words"].map((name) => {
    const part = document.createElement("span");
    part.className = name;
    part.dir = "auto";
    return part;
  });
  picture.append(image, mark);
  root.append(picture, title, words);
  root.addEventListener("click", () => state.choose(id));
  tile = { root, picture, image, mark, title, words, seen: "" };
  state.tiles.set(id, tile);
  return tile;
}

function draw(state, tile, item, data) {
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
  for (const name of ["mark", "title", "words"]) {
    tile[name].textContent = item[name];
    tile[name].hidden = !item[name];
    tile[name].style.display = item[name] ? "" : "none";
  }
  tile.root.title = item.hint || item.title;
  if (current) tile.root.setAttribute("aria-current", "true");
  else tile.root.removeAttribute("aria-current");
}

export default function ({ data, parentElement, setTriggerValue }) {
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
    draw(state, tile, item, data);
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

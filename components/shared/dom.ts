// Small helpers for building DOM without innerHTML: names of files and clusters only ever become text.

const SVG = "http://www.w3.org/2000/svg";

// Line icons on a 24 px grid, drawn for this project.
const ICONS = {
  tick: "M5 12.5l4.5 4.5L19 7.5",
  close: "M6 6l12 12M18 6L6 18",
  previous: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  whole: "M4 5h16v14H4zM4 9h16M4 15h16",
  crop: "M7 2v15h15M2 7h15v15",
  size: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h6v6h-6z",
  help: "M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18M9.5 9.3c.3-1.5 1.300-2.300 2.600-2.300 1.500 0 2.600 1 2.600 2.300 0 1.900-2.500 2-2.700 4.100M12 16.900v.2",
  broken: "M4 5h16v14H4zM4 16l5-5 3 3 3-3 5 5M3 3l18 18",
  pan: "M12 3v18M3 12h18M12 3l-2.500 2.500M12 3l2.500 2.500M12 21l-2.500-2.500M12 21l2.500-2.500M3 12l2.500-2.500M3 12l2.500 2.500M21 12l-2.500-2.500M21 12l-2.500 2.500",
  lasso: "M7.500 16.500C4.800 15.600 3 13.700 3 11.300 3 7.800 7 5 12 5s9 2.800 9 6.300-4 6.300-9 6.300c-.7 0-1.400-.1-2-.2M7.500 16.500a2 2 0 1 0 2.500 1.900c0-1.300-1.200-2-2.500-1.900M9.500 19.500c0 1-.8 1.800-2 2",
  box: "M4 4h3M10.500 4h3M17 4h3v3M20 10.500v3M20 17v3h-3M13.500 20h-3M7 20H4v-3M4 13.500v-3M4 7V4",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  clear: "M5 5l14 14M19 5L5 19",
  picture: "M4 5h16v14H4zM4 16l5-5 3.500 3.500L15 12l5 5M15.500 9a1 1 0 1 0 .1 0",
  pin: "M12 21s7-6.300 7-11.500a7 7 0 0 0-14 0C5 14.700 12 21 12 21M12 12a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5",
  caption: "M4 5h16v14H4zM7 15h7M7 12h10",
  contour: "M12 4c5 0 8 3.500 8 8s-3 8-8 8-8-3.500-8-8 3-8 8-8M12 8.500c2.500 0 4 1.500 4 3.500s-1.500 3.500-4 3.500-4-1.500-4-3.500 1.500-3.500 4-3.500",
  whole_window: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5M9 9h6v6H9z",
  open: "M14 4h6v6M20 4l-8 8M10 20H4v-6M4 20l8-8",
} as const;

export type IconName = keyof typeof ICONS;

/** Attributes by name; those that begin with "on" are listeners. */
export type Attributes = Record<string, string | number | boolean | null | undefined | ((event: never) => unknown)>;

/** Make an element: `h("button", {class: "k-x", onclick}, "text", child)`. Strings become text nodes. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: (Node | string | null | undefined)[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value as EventListener);
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, String(value));
  }
  for (const child of children) if (child !== null && child !== undefined) element.append(child);
  return element;
}

/** Make one of the line icons; it is decoration, the button around it carries the name. */
export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "k-icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Make a button with an icon; `title` is its name for everyone. */
export function iconButton(name: IconName, title: string, onclick: (event: MouseEvent) => unknown, extra: Attributes = {}): HTMLButtonElement {
  return h("button", { type: "button", class: "k-button", title, "aria-label": title, onclick, ...extra }, icon(name));
}

/** 12480 -> "12,480". */
export function count(number: number): string {
  return number.toLocaleString("en-US");
}

/** A modal sheet that lists keys; opened by `?`. */
export function helpDialog(title: string, rows: readonly (readonly [string, string])[]): HTMLDialogElement {
  const list = h("dl", { class: "k-keys" });
  for (const [keys, meaning] of rows) list.append(h("dt", {}, keys), h("dd", {}, meaning));
  const dialog = h("dialog", { class: "k-help", "aria-label": title });
  const close = iconButton("close", "Close", () => dialog.close());
  dialog.append(h("header", {}, h("h2", {}, title), close), list);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "?") dialog.close();
  });
  return dialog;
}

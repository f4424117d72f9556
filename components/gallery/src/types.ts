// What a gallery is told by Python, remembers, and holds.

import type { Outbox, Say } from "../../shared/channels";
import type { Cells } from "./cells";
import type { Expected } from "./expected";
import type { Footer } from "./footer";
import type { Gallery } from "./gallery";
import type { Grid, Scroll } from "./layout";
import type { Seen } from "./seen";
import type { Encoded, Selection } from "./selection";
import type { Toolbar } from "./toolbar";
import type { Viewer } from "./viewer";

/** What Python says of a gallery (components/gallery/face.py: gallery_message). */
export interface GalleryData {
  key: string;
  version: string;
  n: number;
  captions: { from: number; names: string[] } | null;
  wantCaptions: boolean;
  badges: string | null;
  badgeNames: string[];
  badgeColors: number[] | null;
  markNames: [string, string][];
  palette: string[];
  reasons: Record<string, string>;
  view: string;
  stale: boolean;
  chips: string[];
  hints: [string, string][];
  ticking: boolean;
  wantSeen: boolean;
  orders: [string, string][];
  order: string;
  neighbours: Record<string, number[]>;
  wantNeighbours: boolean;
  keys: Record<string, string>;
  buttons: [string, string][];
  height: number;
  label: string;
  heading: string;
  back: string;
  filters: [string, string][];
  filter: string;
  empty: string;
  emptyHint: string;
  command: (Encoded & { nonce: number; g: boolean }) | null;
  acted: number;
}

/** What a gallery is a part of. */
export interface GalleryHost {
  outbox: Outbox;
  selected(gallery: Gallery): void;
  with(): Record<string, unknown>;
  help?(): [string, string][];
}

export interface Memory {
  size: number;
  fit: "whole" | "crop";
  named: boolean;
  failed: Map<number, string>;
  selection: Selection;
  ids: Int32Array;
  focused: number | undefined;
  place: number;
  top: number;
  grid: Grid;
  version: string;
  view: string;
  nonce: number;
}

type Timer = ReturnType<typeof setTimeout> | undefined;

export interface GalleryFields {
  root: HTMLElement;
  key: string;
  host: GalleryHost | null;
  memory: Partial<Memory>;
  outbox: Outbox;
  say: Say | undefined;
  data: GalleryData;
  version: string | null;
  ids: Int32Array;
  n: number;
  selection: Selection;
  hiddenBefore: number;
  anchor: number;
  focus: number;
  size: number;
  fit: "whole" | "crop";
  named: boolean;
  captions: Map<number, string>;
  failed: Map<number, string>;
  reasons: Map<number, string>;
  neighbours: GalleryData["neighbours"];
  wantNeighbours: boolean;
  wantCaptions: boolean;
  ticking: boolean;
  wantSeen: boolean;
  keys: GalleryData["keys"];
  buttons: GalleryData["buttons"];
  orders: GalleryData["orders"];
  order: string;
  filters: GalleryData["filters"];
  filter: string;
  heading: string;
  back: string;
  badges: Uint16Array | null;
  marks: Uint8Array | null;
  badgeNames: string[];
  badgeColors: number[] | null;
  markNames: GalleryData["markNames"];
  chips: string[];
  hints: GalleryData["hints"];
  stale: boolean;
  palette: string[];
  label: string;
  list: HTMLElement;
  plane: HTMLElement;
  rubber: HTMLElement;
  scroll: Scroll;
  grid: Grid;
  cells: Cells;
  viewer: Viewer;
  space: HTMLElement;
  nothing: HTMLElement;
  body: HTMLElement;
  seen: Seen;
  expected: Expected;
  toolbar: Toolbar;
  footer: Footer;
  help: HTMLDialogElement | undefined;
  index: Map<number, number> | null;
  badged: string | null;
  settled: boolean;
  frame: number | null;
  resizing: ResizeObserver;
  stop: () => void;
  deaf: () => void;
  sending: Timer;
  windowing: Timer;
  telling: Timer;
}

// Written by `python -m components.workbench.protocol`; change protocol.py, not this file.

/** One card of the list: a cluster, or images with one proposal. */
export interface GroupItem {
  id: number;
  title: string;
  size: number;
  named: boolean;
  quality: number | null;
  color: number;
  looks: number[];
  note: string;
  why: string;
}

/** The list at the left. The items come in the channel `<key>:groups` as JSON of `GroupItem`s. */
export interface GroupsMessage {
  version: string;
  heading: string;
  chosen: number[];
  filter: string;
  sorts: string[][];
  actions: string[][];
}

/** What the selection bar offers beside its fixed actions. */
export interface BarMessage {
  own: string[][];
  names: string[];
  parts: boolean;
  more: string[][];
}

/** The nearest other cluster. */
export interface TwinMessage {
  id: number;
  title: string;
  cosine: number;
  own: number[];
  looks: number[];
}

/** What an audit has proven; while one is under way, the bound for each number of wrong images. */
export interface AuditMessage {
  words: string;
  open: boolean;
  sample: number;
  bounds: number[];
  seen: boolean;
}

/** One step that was done. */
export interface HistoryItem {
  id: number;
  before: number;
  sentence: string;
  effective: boolean;
  where: string;
}

/** Where the person's labels and the clustering disagree. */
export interface ConflictItem {
  sentence: string;
  looks: number[];
}

/** One thing to do next, with what it is expected to bring; `leads` where it only opens what is to be looked at. */
export interface NextItem {
  kind: string;
  words: string;
  figure: string;
  cluster: number;
  other: number;
  label: string;
  ids: number[];
  leads: boolean;
}

/** The best things to do next, the best first, and how much is left to gain. */
export interface NextMessage {
  moves: NextItem[];
  stop: string;
}

/** Everything about the cluster that is worked on. */
export interface InspectorMessage {
  subject: number;
  title: string;
  why: string;
  value: string;
  names: string[];
  named: number;
  total: number;
  size: number;
  yours: number;
  states: ((string | number)[])[];
  looks: number[];
  twin: TwinMessage | null;
  grow: number[];
  audit: AuditMessage | null;
  history: HistoryItem[];
  steps: number;
  conflicts: ConflictItem[];
  suggests: boolean;
  next: NextMessage;
  acted: number;
}

/** One thing to filter by: a number with its histogram from low to high, or words with how many images each has. */
export interface ColumnItem {
  name: string;
  title: string;
  low: number;
  high: number;
  bins: number[];
  choices: ((string | number)[])[];
  dates: boolean;
}

/** The bar of filters: those that hold (pages/shared/filters.py writes how), what there is, and views by name. */
export interface FiltersMessage {
  where: string;
  columns: ColumnItem[];
  views: string[];
}

/** A shape on the map; its corners follow each other as x, y in data coordinates. */
export interface RegionItem {
  kind: string;
  op: "new" | "add" | "remove";
  polygon: number[];
}

/** What Python asks of a map; a map obeys each number once, and only numbers above the last. */
export interface MapCommand {
  nonce: number;
  focus?: number;
  clear?: boolean;
  version?: string;
  regions?: RegionItem[];
}

/** A map; a colouring is value and title, an entry of the legend name, colour and whether it is noise. */
export interface MapMessage {
  key: string;
  version: string;
  n: number;
  colors: string | null;
  range: [number, number] | null;
  colorLabel: string;
  colorings: [string, string][];
  names: boolean;
  outlines: boolean;
  note: string;
  legend: [string, string, boolean][];
  palette: string[];
  noise: string;
  ramp: string[];
  highlight: string | null;
  tool: "pan" | "lasso" | "box";
  keys: Record<string, string>;
  thumbnails: boolean;
  height: number;
  label: string;
  empty: string;
  emptyHint: string;
  command: MapCommand | null;
}

/** From Python to the browser, at each run of the page. */
export interface WorkbenchMessage {
  key: string;
  kind: string;
  acted: number;
  gallery: Record<string, any>;
  map: MapMessage | null;
  groups: GroupsMessage | null;
  bar: BarMessage | null;
  inspector: InspectorMessage | null;
  filters: FiltersMessage | null;
  takes_pictures: boolean;
}

/** The selected images as positions in the display order of a version (components/gallery/selection.py). */
export interface SelectionMessage {
  v: string;
  c: number;
  t: number;
  g: boolean;
  k: "none" | "ranges" | "all_but" | "bits";
  r?: number[];
  b?: string;
}

/** From the browser to Python: one thing that was asked for, sent again until `acted` has reached its time. */
export interface ActionMessage {
  t: number;
  action: string;
  key?: string;
  part?: "gallery" | "map" | "groups" | "inspector" | "bar";
  id?: number | null;
  position?: number | null;
  selection?: SelectionMessage;
  text?: string;
  value?: number;
  values?: number[];
  also?: boolean;
  labels?: string[];
}

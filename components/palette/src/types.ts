// What the palette is told by Python and asked of the server, and what it says back (components/palette/face.py).

/** One line: `kind` and `value` come back to Python when it is chosen. */
export interface Entry {
  kind: string;
  value: string;
  title: string;
  hint?: string;
  picture?: string; // address of a thumbnail
}

export interface Group {
  title: string;
  entries: Entry[];
}

/** Python's data: `groups` are always there, `address` answers a text with further groups; empty for nothing to ask. */
export interface Data {
  key: string;
  groups: Group[];
  address: string;
  acted: number;
}

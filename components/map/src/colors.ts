// From category codes, values and highlight bits to indices into one list of colours.

import type { LegendItem } from "./types";

const RAMP_STEPS = 64;
export const MISSING = 65535; // noise in codes, not-a-number in values

type Rgb = [number, number, number];

const parse = (hex: string) => [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16)) as Rgb;
const format = (rgb: number[]) => `#${rgb.map((v) => Math.round(v).toString(16).padStart(2, "0")).join("")}`;

/** `steps` colours spread evenly over the given ones. */
export function ramp(colors: readonly string[], steps: number): string[] {
  return Array.from({ length: steps }, (_, i) => {
    const at = (i / (steps - 1)) * (colors.length - 1);
    const low = Math.min(colors.length - 2, Math.floor(at));
    const [a, b] = [parse(colors[low]!), parse(colors[low + 1]!)];
    return format(a.map((v, k) => v + (b[k]! - v) * (at - low)));
  });
}

/** What the colours of n points are made of: codes with a legend, values in a range, or neither. */
export interface Colored {
  n: number;
  codes: Uint16Array | null;
  range: [number, number] | null;
  legend: readonly LegendItem[];
  palette: readonly string[];
  noise: string;
  rampColors: readonly string[];
  accent: string;
}

export interface Coloring {
  list: string[];
  index: Uint16Array;
}

/** The list of colours and, per point, its place in the list. The last two entries are noise and "not highlighted". */
export function colorPoints({ n, codes, range, legend, palette, noise, rampColors, accent }: Colored): Coloring {
  let list: string[];
  let place: (code: number) => number;
  if (!codes) {
    list = [accent];
    place = () => 0;
  } else if (range) {
    list = ramp(rampColors, RAMP_STEPS);
    place = (code) => Math.min(RAMP_STEPS - 1, Math.floor((code / 65535) * RAMP_STEPS));
  } else if (legend.some(([, color, grey], code) => !grey && color !== palette[code % palette.length])) {
    list = legend.map(([, color, grey]) => (grey ? noise : color));
    place = (code) => code % list.length;
  } else {
    list = [...palette];
    place = (code) => (legend[code]?.[2] ? list.length : code % palette.length);
  }
  const grey = list.length;
  const index = new Uint16Array(n);
  if (codes) for (let i = 0; i < n; i++) index[i] = codes[i] === MISSING ? grey : place(codes[i]!);
  return { list: [...list, noise, noise], index };
}

/** Unpack n bits, least significant first. */
export function unpackBits(bits: Uint8Array, n: number): Uint8Array {
  const mask = new Uint8Array(n);
  for (let i = 0; i < n; i++) mask[i] = (bits[i >> 3]! >> (i & 7)) & 1;
  return mask;
}

/** How many points each code has, all together and highlighted. */
export function countCodes(codes: Uint16Array, mask: Uint8Array | null, categories: number): { totals: Uint32Array; marked: Uint32Array } {
  const totals = new Uint32Array(categories + 1);
  const marked = new Uint32Array(categories + 1);
  for (let i = 0; i < codes.length; i++) {
    const code = Math.min(codes[i]!, categories);
    totals[code]!++;
    if (mask && mask[i]) marked[code]!++;
  }
  return { totals, marked };
}

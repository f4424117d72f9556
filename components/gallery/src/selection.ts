// The selection as one byte per position, and its short forms for the wire: ranges, "all but" ranges, or bits.

const MAX_RANGES = 4000;

/** The short form for the wire, as components/gallery/selection.py reads it. */
export interface Encoded {
  k: "none" | "ranges" | "all_but" | "bits";
  r?: number[];
  b?: string;
}

export class Selection {
  declare mask: Uint8Array;
  declare count: number;
  declare together: boolean;

  constructor(n: number) {
    this.mask = new Uint8Array(n);
    this.count = 0;
    this.together = false; // by "select all": not looked at one by one
  }

  get size(): number {
    return this.mask.length;
  }

  has(position: number): boolean {
    return this.mask[position] === 1;
  }

  set(position: number, on: boolean): void {
    if (this.mask[position] !== (on ? 1 : 0)) {
      this.mask[position] = on ? 1 : 0;
      this.count += on ? 1 : -1;
    }
  }

  /** How many positions from `start` to before `end` are selected. */
  within(start: number, end: number): number {
    let found = 0;
    if (this.count) for (let at = Math.max(0, start); at < Math.min(end, this.mask.length); at++) found += this.mask[at]!;
    return found;
  }

  clear(): void {
    this.together = false;
    this.mask.fill(0);
    this.count = 0;
  }

  all(): void {
    this.together = true;
    this.mask.fill(1);
    this.count = this.mask.length;
  }

  range(a: number, b: number, on = true): void {
    for (let i = Math.max(0, Math.min(a, b)); i <= Math.min(this.mask.length - 1, Math.max(a, b)); i++) this.set(i, on);
  }

  /** Take over another mask of the same length. */
  copy(mask: Uint8Array): void {
    this.together = false;
    this.mask.set(mask);
    this.recount();
  }

  recount(): void {
    let total = 0;
    for (let i = 0; i < this.mask.length; i++) total += this.mask[i]!;
    this.count = total;
  }

  encode(): Encoded {
    if (this.count === 0) return { k: "none" };
    const ranges = runs(this.mask, 1, MAX_RANGES);
    const holes = runs(this.mask, 0, MAX_RANGES);
    if (holes && (!ranges || holes.length < ranges.length)) return { k: "all_but", r: holes };
    if (ranges) return { k: "ranges", r: ranges };
    return { k: "bits", b: bits(this.mask) };
  }

  /** Read what Python sent (components/gallery/selection.py: encode). */
  decode(payload: Encoded & { g?: boolean }): void {
    this.clear();
    if (payload.k === "bits") {
      const raw = atob(payload.b!);
      for (let i = 0; i < this.mask.length; i++) this.mask[i] = (raw.charCodeAt(i >> 3) >> (i & 7)) & 1;
    } else if (payload.k === "ranges" || payload.k === "all_but") {
      if (payload.k === "all_but") this.mask.fill(1);
      for (let i = 0; i + 1 < payload.r!.length; i += 2) this.mask.fill(payload.k === "ranges" ? 1 : 0, payload.r![i], payload.r![i + 1]);
    }
    this.recount();
    this.together = payload.g === true && this.count > 0;
  }

  /** The same images in another display order; those that are gone are dropped. */
  moved(before: Int32Array, after: Int32Array): Selection {
    const next = new Selection(after.length);
    next.together = this.together;
    if (this.count === 0) return next;
    const chosen = new Set<number>();
    for (let i = 0; i < before.length; i++) if (this.mask[i]) chosen.add(before[i]!);
    for (let i = 0; i < after.length; i++) if (chosen.has(after[i]!)) next.set(i, true);
    return next;
  }
}

function runs(mask: Uint8Array, value: number, limit: number): number[] | null {
  const found: number[] = [];
  let i = mask.indexOf(value);
  while (i !== -1) {
    let end = mask.indexOf(1 - value, i);
    if (end === -1) end = mask.length;
    found.push(i, end);
    if (found.length > 2 * limit) return null;
    i = mask.indexOf(value, end);
  }
  return found;
}

function bits(mask: Uint8Array): string {
  const packed = new Uint8Array(Math.ceil(mask.length / 8));
  for (let i = 0; i < mask.length; i++) packed[i >> 3]! |= mask[i]! << (i & 7);
  let text = "";
  for (let i = 0; i < packed.length; i += 8192) text += String.fromCharCode(...packed.subarray(i, i + 8192));
  return btoa(text);
}

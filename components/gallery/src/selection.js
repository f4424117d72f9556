// The selection as one byte per position, and its short forms for the wire: ranges, "all but" ranges, or bits.

const MAX_RANGES = 4000;

export class Selection {
  constructor(n) {
    this.mask = new Uint8Array(n);
    this.count = 0;
    this.together = false; // by "select all": not looked at one by one
  }

  get size() {
    return this.mask.length;
  }

  has(position) {
    return this.mask[position] === 1;
  }

  set(position, on) {
    if (this.mask[position] !== (on ? 1 : 0)) {
      this.mask[position] = on ? 1 : 0;
      this.count += on ? 1 : -1;
    }
  }

  clear() {
    this.together = false;
    this.mask.fill(0);
    this.count = 0;
  }

  all() {
    this.together = true;
    this.mask.fill(1);
    this.count = this.mask.length;
  }

  range(a, b, on = true) {
    for (let i = Math.max(0, Math.min(a, b)); i <= Math.min(this.mask.length - 1, Math.max(a, b)); i++) this.set(i, on);
  }

  /** Take over another mask of the same length. */
  copy(mask) {
    this.together = false;
    this.mask.set(mask);
    this.recount();
  }

  recount() {
    let total = 0;
    for (let i = 0; i < this.mask.length; i++) total += this.mask[i];
    this.count = total;
  }

  encode() {
    if (this.count === 0) return { k: "none" };
    const ranges = runs(this.mask, 1, MAX_RANGES);
    const holes = runs(this.mask, 0, MAX_RANGES);
    if (holes && (!ranges || holes.length < ranges.length)) return { k: "all_but", r: holes };
    if (ranges) return { k: "ranges", r: ranges };
    return { k: "bits", b: bits(this.mask) };
  }

  /** Read what Python sent (components/gallery/selection.py: encode). */
  decode(payload) {
    this.clear();
    if (payload.k === "bits") {
      const raw = atob(payload.b);
      for (let i = 0; i < this.mask.length; i++) this.mask[i] = (raw.charCodeAt(i >> 3) >> (i & 7)) & 1;
    } else if (payload.k === "ranges" || payload.k === "all_but") {
      if (payload.k === "all_but") this.mask.fill(1);
      for (let i = 0; i + 1 < payload.r.length; i += 2) this.mask.fill(payload.k === "ranges" ? 1 : 0, payload.r[i], payload.r[i + 1]);
    }
    this.recount();
    this.together = payload.g === true && this.count > 0;
  }

  /** The same images in another display order; those that are gone are dropped. */
  moved(before, after) {
    const next = new Selection(after.length);
    next.together = this.together;
    if (this.count === 0) return next;
    const chosen = new Set();
    for (let i = 0; i < before.length; i++) if (this.mask[i]) chosen.add(before[i]);
    for (let i = 0; i < after.length; i++) if (chosen.has(after[i])) next.set(i, true);
    return next;
  }
}

function runs(mask, value, limit) {
  const found = [];
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

function bits(mask) {
  const packed = new Uint8Array(Math.ceil(mask.length / 8));
  for (let i = 0; i < mask.length; i++) packed[i >> 3] |= mask[i] << (i & 7);
  let text = "";
  for (let i = 0; i < packed.length; i += 8192) text += String.fromCharCode(...packed.subarray(i, i + 8192));
  return btoa(text);
}

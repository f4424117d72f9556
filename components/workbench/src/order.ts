// The order of the list: sorted when the person asks for it; until then each card keeps its place.

import type { GroupItem } from "./protocol";

export const UNSORTED = -1;
type Compare = (a: GroupItem, b: GroupItem) => number;

const larger: Compare = (a, b) => b.size - a.size || a.id - b.id;
const SORTS: Record<string, Compare> = {
  size: larger,
  name: (a, b) => a.title.localeCompare(b.title, undefined, { numeric: true }) || a.id - b.id,
  quality: (a, b) => (a.quality ?? 2) - (b.quality ?? 2) || larger(a, b),
  unnamed: (a, b) => Number(a.named) - Number(b.named) || larger(a, b),
};

/** Ids in a fresh order; what is in no group comes last. */
export function sorted(items: readonly GroupItem[], by: string): number[] {
  const compare = SORTS[by] ?? larger;
  const last = (item: GroupItem) => (item.id === UNSORTED ? 1 : 0);
  return [...items].sort((a, b) => last(a) - last(b) || compare(a, b)).map((item) => item.id);
}

/** The items in a kept order; new ones follow in a fresh order, before what is in no group. */
export function kept(items: readonly GroupItem[], order: readonly number[], by: string): GroupItem[] {
  const known = new Map(items.map((item) => [item.id, item]));
  const before = new Set(order);
  const ids = [...order.filter((id) => known.has(id) && id !== UNSORTED), ...sorted(items, by).filter((id) => id === UNSORTED || !before.has(id))];
  return ids.map((id) => known.get(id)!);
}

/** The choice after a click: one alone, one more or less (Ctrl), or all from the last one to this (Shift). */
export function clicked(chosen: readonly number[], ids: readonly number[], id: number, anchor: number | null, { toggle, range }: { toggle: boolean; range: boolean }): number[] {
  if (range && anchor !== null && ids.includes(anchor)) {
    const [a, b] = [ids.indexOf(anchor), ids.indexOf(id)].sort((x, y) => x - y) as [number, number];
    return ids.slice(a, b + 1);
  }
  if (toggle) return chosen.includes(id) ? chosen.filter((other) => other !== id) : [...chosen, id];
  return chosen.length === 1 && chosen[0] === id ? [] : [id];
}

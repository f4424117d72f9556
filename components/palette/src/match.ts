// Which lines a text finds, the best first. The server orders its own answers; this is for what is always there.
import type { Entry, Group } from "./types";

/** 0 for a title that begins with the text, 1 where a word does, 2 anywhere inside it, null for no match. */
export function rank(title: string, text: string): number | null {
  const at = title.toLowerCase().indexOf(text.trim().toLowerCase());
  if (at < 0) return null;
  if (at === 0) return 0;
  return /[\s_\-/]/.test(title[at - 1]) ? 1 : 2;
}

export function matching(groups: Group[], text: string): Group[] {
  if (!text.trim()) return groups;
  return groups
    .map((group) => {
      const ranked = group.entries
        .map((entry): [number | null, Entry] => [rank(entry.title, text), entry])
        .filter((pair): pair is [number, Entry] => pair[0] !== null);
      ranked.sort((one, other) => one[0] - other[0]);
      return { title: group.title, entries: ranked.map(([, entry]) => entry) };
    })
    .filter((group) => group.entries.length > 0);
}

/** Ranks texts for the search of the palette. */

/**
 * How well a text matches: 0 for the same text, 1 for its beginning, 2 for the beginning of a word, 3 for a part,
 * 4 for all letters in order; null if it does not match.
 */
export function rank(text: string, query: string): number | null {
  const [t, q] = [text.toLowerCase(), query.trim().toLowerCase()];
  if (q === "") return 3;
  if (t === q) return 0;
  if (t.startsWith(q)) return 1;
  const at = t.indexOf(q);
  if (at > 0) return /[\s\-_/.:]/.test(t[at - 1]!) ? 2 : 3;
  let next = 0;
  for (const letter of t) if (letter === q[next]) next++;
  return q.length > 2 && next === q.length ? 4 : null;
}

export function search<T>(items: T[], query: string, textOf: (item: T) => string, limit: number): T[] {
  return items
    .map((item, i) => ({ item, i, rank: rank(textOf(item), query) }))
    .filter((x): x is { item: T; i: number; rank: number } => x.rank !== null)
    .sort((a, b) => a.rank - b.rank || a.i - b.i)
    .slice(0, limit)
    .map((x) => x.item);
}

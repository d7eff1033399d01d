import type { Points } from "./types";

/** The path of a sparkline and of the area below it, from 0 to the largest value. */
export function sparkPaths(values: Points, width: number, height: number): { line: string; area: string } {
  values = shorten(values, 60);
  const max = Math.max(1e-9, ...values.map((v) => v ?? 0));
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  const line: string[] = [];
  const area: string[] = [];
  let open: { x: number } | null = null;
  const text = (n: number) => String(Math.round(n * 100) / 100);
  const close = (x: number) => {
    if (open) area.push(`L${text(x)} ${height}L${text(open.x)} ${height}Z`);
    open = null;
  };
  values.forEach((value, i) => {
    const x = i * step;
    if (value === null || value === undefined) {
      close((i - 1) * step);
      return;
    }
    const point = `${text(x)} ${text(height - 1 - (value / max) * (height - 2))}`;
    line.push((open ? "L" : "M") + point);
    area.push((open ? "L" : "M") + point);
    open ??= { x };
  });
  close((values.length - 1) * step);
  return { line: line.join(""), area: area.join("") };
}

/** At most so many values: the means of neighbours. A mean of missing values is missing. */
export function shorten(values: Points, limit: number): Points {
  if (values.length <= limit) return values;
  const step = values.length / limit;
  return Array.from({ length: limit }, (_, i) => {
    const known = values.slice(Math.floor(i * step), Math.floor((i + 1) * step)).filter((v) => v !== null);
    return known.length > 0 ? known.reduce((a, b) => a + b, 0) / known.length : null;
  });
}

/** Reads the series of the gateway for charts. */
import type { Points, Series } from "./types";

/** The values of one series; nothing is known of one that the response does not have. */
export function pick(series: Series | null, name: string): Points {
  const values = series?.[name];
  return Array.isArray(values) ? values : (series?.times ?? []).map(() => null);
}

/** Counts of a step as a rate per second. */
export const perSecond = (series: Series | null, name: string): Points =>
  pick(series, name).map((v) => (v === null || !series ? null : v / series.stepSeconds));

export const RANGES: [string, string][] = [["15", "15 min"], ["60", "1 h"], ["360", "6 h"], ["1440", "24 h"]];

/** Texts for numbers, sizes, durations and times. Pure: the present time is a parameter. */

const DASH = "–";

/** A count in at most four characters of digits: 950, 1.2k, 34k, 5.6M. */
export function count(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return DASH;
  const size = Math.abs(value);
  for (const [unit, name] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]] as const) {
    if (size >= unit) return trim(value / unit) + name;
  }
  return Number.isInteger(value) ? String(value) : trim(value);
}

/** A rate per second: two digits that count. */
export function rate(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return DASH;
  if (value === 0) return "0";
  return Math.abs(value) < 0.01 ? "<0.01" : count(Number(value.toPrecision(2)));
}

/** A share of 1 in percent. */
export function percent(part: number, whole: number): string {
  if (!(whole > 0)) return "0 %";
  const value = (100 * part) / whole;
  return `${value > 0 && value < 0.1 ? "<0.1" : trim(value)} %`;
}

/** Milliseconds as people write them: 0.4 ms, 12 ms, 1.24 s, 3 min 5 s. */
export function ms(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return DASH;
  if (value < 1) return value === 0 ? "0 ms" : `${value.toFixed(1)} ms`;
  if (value < 1000) return `${Math.round(value)} ms`;
  if (value < 10_000) return `${(value / 1000).toFixed(2)} s`;
  if (value < 60_000) return `${(value / 1000).toFixed(1)} s`;
  return duration(value / 1000);
}

/** Seconds as at most two units: 45 s, 3 min 5 s, 2 h 10 min, 4 d 3 h. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const units: [string, number][] = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => whole >= size);
  if (first < 0) return "0 s";
  const [name, size] = units[first]!;
  const rest = units[first + 1];
  const second = rest ? Math.floor((whole % size) / rest[1]) : 0;
  return `${Math.floor(whole / size)} ${name}` + (second > 0 ? ` ${second} ${rest![0]}` : "");
}

/** A size in bytes with binary units: 512 B, 1.5 KiB, 20 MiB. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return DASH;
  let size = value;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (size < 1024) return `${unit === "B" ? size : trim(size)} ${unit}`;
    size /= 1024;
  }
  return `${trim(size)} TiB`;
}

/** An amount of money in the unit of the price table. */
export function money(value: number | null | undefined): string {
  if (value === null || value === undefined) return DASH;
  return value !== 0 && Math.abs(value) < 0.01 ? value.toFixed(4) : value.toFixed(2);
}

/** A time relative to now: now, 12 s ago, in 3 min, 2 d ago. */
export function relative(at: string | number, now: number): string {
  const seconds = Math.round((now - new Date(at).getTime()) / 1000);
  const size = Math.abs(seconds);
  if (Number.isNaN(size)) return DASH;
  if (size < 2) return "now";
  const units: [string, number][] = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]];
  const [name, unit] = units.find(([, u]) => size >= u)!;
  const text = `${Math.floor(size / unit)} ${name}`;
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

/** A time of the local zone and of UTC, for a tooltip. */
export function absolute(at: string | number): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return DASH;
  return `${local(date.toISOString())} (${date.toISOString()})`;
}

/** A time of the local zone with its date, on a clock of 24 hours as in charts and logs. */
export function local(at: string): string {
  return new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
}

/** The time of day with seconds, in the local zone. */
export function clock(at: string | number): string {
  const date = new Date(at);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** A noun with its number: 1 job, 2 jobs. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${value} ${value === 1 ? one : many}`;
}

function trim(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  const text = value.toFixed(digits);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

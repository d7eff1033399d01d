/** What changes between two declarations, field by field. */

export interface Change {
  field: string;
  before: unknown;
  after: unknown;
}

const isObject = (v: unknown): v is Record<string, unknown> => typeof v === "object" && v !== null && !Array.isArray(v);

/** The fields that differ, by path (`scaling.max`). Lists are compared as a whole. */
export function diff(before: unknown, after: unknown, field = ""): Change[] {
  if (isObject(before) && isObject(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return names.flatMap((n) => diff(before[n], after[n], field ? `${field}.${n}` : n));
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ field, before, after }];
}

/** A copy with the value at a path; undefined removes it. */
export function withValue(object: Record<string, unknown>, field: string, value: unknown): Record<string, unknown> {
  const [first, ...rest] = field.split(".") as [string, ...string[]];
  const copy = { ...object };
  if (rest.length > 0) {
    const inner = copy[first];
    copy[first] = withValue(isObject(inner) ? inner : {}, rest.join("."), value);
  } else if (value === undefined) delete copy[first];
  else copy[first] = value;
  return copy;
}

export function valueAt(object: unknown, field: string): unknown {
  return field.split(".").reduce<unknown>((o, name) => (isObject(o) ? o[name] : undefined), object);
}

/** A value in one line. */
export function show(value: unknown): string {
  if (value === undefined || value === null) return "–";
  return typeof value === "string" ? value : JSON.stringify(value);
}

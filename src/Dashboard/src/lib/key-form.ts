/** The form of a key: its texts, and the body of the request that they mean. */
import type { Key } from "./types";

export interface KeyForm {
  name: string;
  admin: boolean;
  read: boolean;
  metrics: boolean;
  invoke: string;
  pods: string;
  tags: string;
  expiresAt: string;
  requestsPerMinute: string;
  tokensPerMinute: string;
  concurrent: string;
  queued: string;
  weight: string;
}

const list = (text: string) => text.split(/[\s,]+/).filter(Boolean);
const number = (n: number | undefined) => (n ? String(n) : "");

export function formOf(key: Key | null): KeyForm {
  return {
    name: key?.name ?? "",
    admin: key?.scope.admin ?? false,
    read: key?.scope.read ?? false,
    metrics: key?.scope.metrics ?? false,
    invoke: key?.scope.invoke.join(", ") ?? "",
    pods: key?.scope.pods?.join(", ") ?? "",
    tags: Object.entries(key?.tags ?? {}).map(([n, v]) => `${n}=${v}`).join(", "),
    expiresAt: key?.expiresAt ? localTime(key.expiresAt) : "",
    requestsPerMinute: number(key?.limits.requestsPerMinute),
    tokensPerMinute: number(key?.limits.tokensPerMinute),
    concurrent: number(key?.limits.concurrent),
    queued: number(key?.limits.queued),
    weight: key && key.limits.weight !== 1 ? String(key.limits.weight) : "",
  };
}

/** The body of a request, or the first thing that is wrong. The scope admin of a key cannot be changed. */
export function bodyOf(form: KeyForm, isNew: boolean): { body: Record<string, unknown> } | { error: string } {
  const body: Record<string, unknown> = {
    name: form.name.trim(), read: form.read, metrics: form.metrics, invoke: list(form.invoke), pods: list(form.pods),
  };
  if (isNew) body.admin = form.admin;
  const tags: Record<string, string> = {};
  for (const pair of form.tags.split(",").map((p) => p.trim()).filter(Boolean)) {
    const [, name, value] = /^([^=]+)=(.*)$/.exec(pair) ?? [];
    if (!name) return { error: `tags has '${pair}'; expected name=value` };
    tags[name.trim()] = value!.trim();
  }
  body.tags = tags;
  for (const field of ["requestsPerMinute", "tokensPerMinute", "concurrent", "queued"] as const) {
    const text = form[field].trim();
    if (text && !/^\d+$/.test(text)) return { error: `${field} is '${text}'; expected a whole number` };
    body[field] = text ? Number(text) : isNew ? 0 : null;
  }
  const weight = form.weight.trim();
  if (weight && !(Number(weight) > 0)) return { error: `weight is '${weight}'; expected 0.01 to 100` };
  body.weight = weight ? Number(weight) : 1;
  body.expiresAt = form.expiresAt ? new Date(form.expiresAt).toISOString() : null;
  return { body };
}

/** A time as an input of the type datetime-local has it. */
function localTime(at: string): string {
  const date = new Date(at);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

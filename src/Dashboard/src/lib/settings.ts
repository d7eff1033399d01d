/** The fields of an endpoint that the settings form has, with their rules. docs/reference/endpoint.md has all. */

export type FieldType = "int" | "duration" | "size" | "percent" | "bool" | "enum" | "text";

export interface Field {
  path: string;
  label: string;
  type: FieldType;
  note: string;
  min?: number;
  max?: number;
  options?: string[];
}

export interface Group {
  title: string;
  /** The object that an endpoint must have; without it, the group is not shown. */
  needs?: string;
  fields: Field[];
}

const f = (path: string, label: string, type: FieldType, note: string, more: Partial<Field> = {}): Field =>
  ({ path, label, type, note, ...more });

export const GROUPS: Group[] = [
  {
    title: "Scaling",
    fields: [
      f("scaling.min", "Minimum workers", "int", "Kept warm without demand", { min: 0, max: 10_000 }),
      f("scaling.max", "Maximum workers", "int", "0 switches the endpoint off", { min: 0, max: 10_000 }),
      f("scaling.buffer", "Spare workers", "int", "While any are needed", { min: 0, max: 10_000 }),
      f("scaling.scaler", "Scaler", "enum", "The rule that decides",
        { options: ["SLO", "REQUEST_COUNT", "QUEUE_DELAY", "CONCURRENCY", "TOKENS"] }),
      f("scaling.targetWait", "Target wait", "duration", "SLO: wait for a slot, 10ms to 1h", { min: 0.01, max: 3600 }),
      f("scaling.targetPercentile", "Target percentile", "percent", "SLO: 50 to 99", { min: 50, max: 99 }),
      f("scaling.maxDelay", "Tolerated delay", "duration", "QUEUE_DELAY: wait of the oldest request"),
      f("scaling.target", "Requests per worker", "int", "0: the template's concurrency", { min: 0 }),
      f("scaling.idleTimeout", "Idle timeout", "duration", "Before the last workers stop"),
      f("scaling.scaleInDelay", "Scale-in delay", "duration", "0s: automatic"),
      f("scaling.pause", "Pause", "enum", "QUEUE: requests wait. REFUSE: requests get 503",
        { options: ["NONE", "QUEUE", "REFUSE"] }),
      f("scaling.dailyWorkerTime", "Worker time per day", "duration", "0s: no limit"),
    ],
  },
  {
    title: "Queue and forwarding",
    fields: [
      f("queue.maxDepth", "Longest queue", "int", "One more request gets 429", { min: 0 }),
      f("queue.timeout", "Queue timeout", "duration", "Then 504"),
      f("forwarding.executionTimeout", "Execution timeout", "duration", "Longest run of a request"),
      f("forwarding.activityTimeout", "Activity timeout", "duration", "Longest time without a byte"),
      f("forwarding.maxBodyBytes", "Largest body", "size", "A larger one gets 413"),
      f("forwarding.maxAttempts", "Attempts", "int", "Workers that a request is sent to", { min: 1 }),
    ],
  },
  {
    title: "Jobs",
    fields: [
      f("jobs.maxQueued", "Waiting jobs", "int", "One more gets 429", { min: 0 }),
      f("jobs.maxRuns", "Runs", "int", "Attempts that count", { min: 1 }),
      f("jobs.retryErrors", "Retry errors of handlers", "bool", "A job whose handler fails runs again"),
      f("jobs.ttl", "Longest wait", "duration", "Then TIMED_OUT"),
      f("jobs.retention", "Retention", "duration", "How long an ended job can be read"),
      f("jobs.maxInputBytes", "Largest input", "size", "A larger one gets 413"),
    ],
  },
  {
    title: "Placement and access",
    fields: [
      f("placement.priority", "GPU priority", "int", "-1000 to 1000; higher first", { min: -1000, max: 1000 }),
      f("placement.weight", "GPU weight", "int", "1 to 1000", { min: 1, max: 1000 }),
      f("public", "Public", "bool", "Requests need no key"),
    ],
  },
  {
    title: "Canary",
    needs: "canary",
    fields: [
      f("canary.of", "Canary of", "text", "The endpoint whose requests and jobs it shares"),
      f("canary.weight", "Weight", "int", "0 to 100: percent of the requests and jobs", { min: 0, max: 100 }),
    ],
  },
];

export const FIELDS = GROUPS.flatMap((g) => g.fields);

const UNITS: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 };
const SIZES: Record<string, number> = { "": 1, B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

/** The seconds of a duration such as 1h30m; null: it is none. */
export function seconds(text: string): number | null {
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return null;
  let sum = 0;
  for (const [, n, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) sum += Number(n) * UNITS[unit!]!;
  return sum;
}

/** The bytes of a size such as 64MiB; null: it is none. */
export function sizeBytes(text: string): number | null {
  const found = /^(\d+(?:\.\d+)?) ?(B|KiB|MiB|GiB|TiB)?$/.exec(text);
  return found ? Math.round(Number(found[1]) * SIZES[found[2] ?? ""]!) : null;
}

/** A size as the form shows it: with the largest unit that keeps it whole. */
export function sizeText(value: number): string {
  for (const unit of ["TiB", "GiB", "MiB", "KiB"]) {
    if (value >= SIZES[unit]! && value % SIZES[unit]! === 0) return `${value / SIZES[unit]!}${unit}`;
  }
  return String(value);
}

/** The text of a field in the form. */
export function textOf(field: Field, value: unknown): string {
  if (field.type === "size" && typeof value === "number") return sizeText(value);
  return value === undefined || value === null ? "" : String(value);
}

/** Reads the text of a field: its value, or what is wrong with it. */
export function readField(field: Field, text: string): { value: unknown } | { error: string } {
  const given = text.trim();
  const range = (n: number, unit = "") => {
    if (field.min !== undefined && n < field.min) return `expected ${field.min}${unit} or more`;
    return field.max !== undefined && n > field.max ? `expected at most ${field.max}${unit}` : null;
  };
  switch (field.type) {
    case "bool":
      return { value: given === "true" };
    case "enum":
      return field.options!.includes(given) ? { value: given } : { error: `expected ${field.options!.join(", ")}` };
    case "int":
    case "percent": {
      if (!/^-?\d+$/.test(given)) return { error: "expected a whole number" };
      const wrong = range(Number(given));
      return wrong ? { error: wrong } : { value: Number(given) };
    }
    case "duration": {
      const length = seconds(given);
      if (length === null) return { error: "expected a duration such as 250ms, 60s or 1h30m" };
      const wrong = range(length, " s");
      return wrong ? { error: wrong } : { value: given };
    }
    case "size": {
      const size = sizeBytes(given);
      return size === null ? { error: "expected a size such as 64MiB" } : { value: size };
    }
    default:
      return { value: given };
  }
}

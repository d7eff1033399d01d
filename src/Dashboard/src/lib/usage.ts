/** Reports of usage: their lines, and sums of them. */

export interface UsageLine {
  at: string;
  group: string | null;
  requests: number;
  errors: number;
  jobs: { completed: number; failed: number; cancelled: number; timedOut: number };
  bytesIn: number;
  bytesOut: number;
  tokens: { prompt: number; cached: number; generated: number; wasted: number };
  coldStarts: number;
  workerSeconds: { starting: number; busy: number; idle: number };
  cost: number;
  unpricedSeconds: number;
}

export interface UsageReport {
  since: string;
  until: string;
  step: string;
  groupBy: string;
  currency: string;
  usage: UsageLine[];
}

export interface GroupSum {
  group: string | null;
  requests: number;
  errors: number;
  jobs: number;
  /** Jobs that failed or timed out. */
  failedJobs: number;
  tokens: number;
  coldStarts: number;
  starting: number;
  busy: number;
  idle: number;
  cost: number;
  /** Seconds of workers whose type has no price. */
  unpriced: number;
}

/** The sums of each group, those with the most worker time first. Usage of no group is last. */
export function sumByGroup(lines: UsageLine[]): GroupSum[] {
  const sums = new Map<string | null, GroupSum>();
  for (const l of lines) {
    const s = sums.get(l.group) ?? { group: l.group, requests: 0, errors: 0, jobs: 0, failedJobs: 0, tokens: 0,
      coldStarts: 0, starting: 0, busy: 0, idle: 0, cost: 0, unpriced: 0 };
    sums.set(l.group, s);
    s.requests += l.requests;
    s.errors += l.errors;
    s.jobs += l.jobs.completed + l.jobs.failed + l.jobs.cancelled + l.jobs.timedOut;
    s.failedJobs += l.jobs.failed + l.jobs.timedOut;
    s.tokens += l.tokens.prompt + l.tokens.generated;
    s.coldStarts += l.coldStarts;
    s.starting += l.workerSeconds.starting;
    s.busy += l.workerSeconds.busy;
    s.idle += l.workerSeconds.idle;
    s.cost += l.cost;
    s.unpriced += l.unpricedSeconds;
  }
  const time = (s: GroupSum) => s.starting + s.busy + s.idle;
  return [...sums.values()].sort((a, b) =>
    Number(a.group === null) - Number(b.group === null) || time(b) - time(a) || b.requests - a.requests);
}

export interface Price {
  gpu: string;
  from: string;
  perHour: number;
}

export interface PriceTable {
  currency: string;
  prices: Price[];
}

export type PriceState = "in force" | "planned" | "replaced";

/**
 * The prices by type, the latest first, with what applies now. Of prices with the same time, the last one applies, as
 * in the gateway. Types are compared without case.
 */
export function statesOf({ prices }: PriceTable, now: number): (Price & { state: PriceState })[] {
  const at = (p: Price) => new Date(p.from).getTime();
  const sorted = prices.map((price, i) => ({ price, i })).sort((a, b) =>
    a.price.gpu.toLowerCase().localeCompare(b.price.gpu.toLowerCase()) || at(b.price) - at(a.price) || b.i - a.i);
  const found = new Set<string>();
  return sorted.map(({ price }) => {
    const type = price.gpu.toLowerCase();
    if (at(price) > now) return { ...price, state: "planned" };
    const state = found.has(type) ? "replaced" : "in force";
    found.add(type);
    return { ...price, state };
  });
}

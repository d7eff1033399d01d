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
  tokens: number;
  coldStarts: number;
  starting: number;
  busy: number;
  idle: number;
  cost: number;
}

/** The sums of each group, those with the most worker time first. Usage of no group is last. */
export function sumByGroup(lines: UsageLine[]): GroupSum[] {
  const sums = new Map<string | null, GroupSum>();
  for (const l of lines) {
    const s = sums.get(l.group) ?? { group: l.group, requests: 0, errors: 0, jobs: 0, tokens: 0, coldStarts: 0,
      starting: 0, busy: 0, idle: 0, cost: 0 };
    sums.set(l.group, s);
    s.requests += l.requests;
    s.errors += l.errors;
    s.jobs += l.jobs.completed + l.jobs.failed + l.jobs.cancelled + l.jobs.timedOut;
    s.tokens += l.tokens.prompt + l.tokens.generated;
    s.coldStarts += l.coldStarts;
    s.starting += l.workerSeconds.starting;
    s.busy += l.workerSeconds.busy;
    s.idle += l.workerSeconds.idle;
    s.cost += l.cost;
  }
  const time = (s: GroupSum) => s.starting + s.busy + s.idle;
  return [...sums.values()].sort((a, b) =>
    Number(a.group === null) - Number(b.group === null) || time(b) - time(a) || b.requests - a.requests);
}

/** Lists of jobs over several endpoints, and actions on many jobs. */
import { call, get, path } from "./api";
import type { Job, JobPage } from "./types";

export const STATUSES = ["IN_QUEUE", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"];

export interface Row {
  endpoint: string;
  job: Job;
}

/** The newest jobs of the endpoints, in one list. `dead` lists the dead letters. */
export async function list(endpoints: string[], status: string, limit: number, dead = false): Promise<Row[]> {
  const kind = dead ? "dead-letters" : "requests";
  const pages = await Promise.all(endpoints.map(async (endpoint) => {
    const query = new URLSearchParams({ limit: String(Math.min(limit, 100)) });
    if (status) query.set("status", status);
    const jobs = await all(`${path`/v2/${endpoint}/`}${kind}?${query}`, limit);
    return jobs.map((job) => ({ endpoint, job }));
  }));
  return merge(pages.flat(), limit);
}

/** The newest first, at most so many. */
export function merge(rows: Row[], limit: number): Row[] {
  const time = (r: Row) => r.job.timings.submittedAt;
  return rows.sort((a, b) => (time(a) < time(b) ? 1 : time(a) > time(b) ? -1 : 0)).slice(0, limit);
}

async function all(url: string, limit: number): Promise<Job[]> {
  const jobs: Job[] = [];
  let offset = 0;
  while (jobs.length < limit) {
    const page = await get<JobPage>(`${url}&offset=${offset}`);
    jobs.push(...page.requests);
    if (!page.hasMore || page.next === undefined) break;
    offset = page.next;
  }
  return jobs;
}

export type Action = "cancel" | "retry" | "replay";

/** Whether an action applies to a job in a status. */
export function applies(action: Action, status: string): boolean {
  if (action === "cancel") return status === "IN_QUEUE" || status === "IN_PROGRESS";
  if (action === "retry") return status === "FAILED" || status === "TIMED_OUT";
  return true;
}

export const inputPath = (endpoint: string, id: string) => path`/v2/${endpoint}/input/${id}`;

/** Submits a job with the input of another one. It returns the new id. */
export async function replay({ endpoint, job }: Row): Promise<string> {
  const input = await get<unknown>(inputPath(endpoint, job.id));
  return (await call<{ id: string }>("POST", path`/v2/${endpoint}/run`, { input })).id;
}

export async function act(action: Action, row: Row): Promise<void> {
  if (action === "replay") await replay(row);
  else await call("POST", `${path`/v2/${row.endpoint}/`}${action}/${encodeURIComponent(row.job.id)}`);
}

/** Runs an action on many jobs, four at a time, and returns the number that succeeded and the errors. */
export async function actOnAll(action: Action, rows: Row[], onProgress: (done: number) => void):
  Promise<{ done: number; errors: string[] }> {
  const waiting = [...rows];
  const errors: string[] = [];
  let done = 0;
  const lane = async () => {
    for (let row = waiting.shift(); row; row = waiting.shift()) {
      try {
        await act(action, row);
        done++;
      } catch (e) {
        errors.push(e instanceof Error ? e.message : String(e));
      }
      onProgress(done + errors.length);
    }
  };
  await Promise.all(Array.from({ length: 4 }, lane));
  return { done, errors };
}

/**
 * Why the job failed. If no attempt is left, that is the reason of the last one. Otherwise lost attempts were repeated,
 * and only the error of the job counts.
 */
export function causeOf({ job }: Row): string {
  const last = job.errorInfo?.code === "ATTEMPTS_EXHAUSTED" ? job.attempts?.at(-1)?.reason : undefined;
  return last ?? job.error ?? "";
}

import { useState } from "preact/hooks";
import { path } from "../lib/api";
import { list, STATUSES, type Action, type Row } from "../lib/jobs";
import { useGet } from "../lib/live";
import { useParam } from "../lib/router";
import { useEndpointIds } from "../lib/session";
import { useJobs } from "../lib/use-jobs";
import type { JobHealth } from "../lib/types";
import { attempt } from "../ui/dialog";
import { Bulk, JobTable } from "../ui/job-table";
import { Card, Empty, ErrorBanner, Head, Loading } from "../ui/parts";

/** Jobs that one bulk action covers at most. */
const MAX_BULK = 1000;

const SUBMIT = (endpoint: string) => `curl -s $SLUICE/v2/${endpoint}/run -H "Authorization: Bearer $SLUICE_KEY" \\
  -d '{"input":{"text_input":"Once upon a time"}}'`;

/** The jobs of all endpoints or of one, with a filter, a search, and actions on many. */
export function Jobs() {
  const ids = useEndpointIds();
  const [endpoint, setEndpoint] = useParam("endpoint");
  const [status, setStatus] = useParam("status");
  const [find, setFind] = useParam("find");
  const [limit, setLimit] = useState(50);
  const of = endpoint ? [endpoint] : ids;
  const jobs = useJobs(of, status, limit);
  const rows = (jobs.rows ?? []).filter((r) => !find || matches(r, find));
  return (
    <>
      <Head title="Jobs" text="Stored requests: each has exactly one final result." />
      <ErrorBanner error={jobs.error} />
      {endpoint ? <Counts key={endpoint} endpoint={endpoint} status={status} onStatus={setStatus} /> : null}
      <Card filters={
        <>
          <select class="select" aria-label="Endpoint" value={endpoint}
            onChange={(e) => setEndpoint(e.currentTarget.value)}>
            <option value="">All endpoints</option>
            {[...new Set([...ids, ...(endpoint ? [endpoint] : [])])].map((id) => (
              <option key={id} value={id}>{id}</option>
            ))}
          </select>
          <select class="select" aria-label="Status" value={status} onChange={(e) => setStatus(e.currentTarget.value)}>
            <option value="">Every status</option>
            {STATUSES.map((s) => <option key={s} value={s}>{s.toLowerCase().replaceAll("_", " ")}</option>)}
          </select>
          <input class="input" type="search" placeholder="Id, worker or error" aria-label="Search jobs" value={find}
            onInput={(e) => setFind(e.currentTarget.value)} />
        </>
      } actions={<BulkButtons endpoints={of} reload={jobs.reload} />}>
        {jobs.rows === null && ids.length + of.length > 0 ? <Loading /> : rows.length === 0 ? (
          <Empty title={find || status ? "No job matches" : "No jobs yet"}
            command={SUBMIT(endpoint || ids[0] || "story")}>
            A job is submitted to an endpoint, and runs when a worker has a free slot.
          </Empty>
        ) : <JobTable rows={rows} reload={jobs.reload} />}
        {(jobs.rows?.length ?? 0) >= limit ? (
          <div class="pager">
            <button type="button" class="button small" onClick={() => setLimit(limit + 100)}>Show more</button>
            <span class="faint">the newest {limit}</span>
          </div>
        ) : null}
      </Card>
    </>
  );
}

function matches({ endpoint, job }: Row, find: string): boolean {
  const text = [job.id, endpoint, job.workerId, job.error, job.errorInfo?.code].join(" ").toLowerCase();
  return text.includes(find.trim().toLowerCase());
}

const COUNTED: [keyof JobHealth["jobs"], string, string][] = [
  ["inQueue", "waiting", "IN_QUEUE"], ["inProgress", "running", "IN_PROGRESS"], ["completed", "completed", "COMPLETED"],
  ["failed", "failed", "FAILED"], ["timedOut", "timed out", "TIMED_OUT"], ["cancelled", "cancelled", "CANCELLED"],
];

function Counts({ endpoint, status, onStatus }:
  { endpoint: string; status: string; onStatus: (status: string) => void }) {
  const { data } = useGet<JobHealth>(path`/v2/${endpoint}/health`, 3000);
  return (
    <div class="row counts" role="group" aria-label={`Jobs of ${endpoint} by status`}>
      {COUNTED.map(([name, text, value]) => (
        <button key={name} type="button" class={`button small ${status === value ? "primary" : ""}`}
          aria-pressed={status === value} onClick={() => onStatus(status === value ? "" : value)}>
          <b>{data?.jobs[name] ?? "–"}</b> {text}
        </button>
      ))}
    </div>
  );
}

/** Actions on all jobs in a status. The jobs are counted first. */
function BulkButtons({ endpoints, reload }: { endpoints: string[]; reload: () => Promise<void> }) {
  const [bulk, setBulk] = useState<{ action: Action; rows: Row[] } | null>(null);
  const [busy, setBusy] = useState(false);
  const prepare = async (action: Action, statuses: string[]) => {
    setBusy(true);
    await attempt(async () => {
      const lists = await Promise.all(statuses.map((s) => list(endpoints, s, MAX_BULK)));
      setBulk({ action, rows: lists.flat().slice(0, MAX_BULK) });
    });
    setBusy(false);
  };
  return (
    <>
      <button type="button" class="button small" disabled={busy || endpoints.length === 0}
        onClick={() => prepare("retry", ["FAILED", "TIMED_OUT"])}>Retry failed…</button>
      <button type="button" class="button small danger" disabled={busy || endpoints.length === 0}
        onClick={() => prepare("cancel", ["IN_QUEUE"])}>Cancel waiting…</button>
      {bulk ? <Bulk {...bulk} onClose={() => setBulk(null)} reload={reload} /> : null}
    </>
  );
}

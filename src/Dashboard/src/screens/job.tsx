import { useState } from "preact/hooks";
import { ApiError, call, path } from "../lib/api";
import { local, ms, plural } from "../lib/format";
import { act, applies, inputPath } from "../lib/jobs";
import { useGet } from "../lib/live";
import { link, navigate } from "../lib/router";
import { useRights } from "../lib/session";
import type { Job } from "../lib/types";
import { attempt, Dialog } from "../ui/dialog";
import { Banner, Card, Empty, ErrorBanner, Head, Id, Json, Loading, State, Time } from "../ui/parts";
import { Waterfall } from "../ui/waterfall";

/** One job: its input, result, and attempts over time. */
export function JobScreen({ parts }: { parts: string[] }) {
  const [, endpoint, id] = parts as [string, string, string];
  const { data: job, error, reload } = useGet<Job>(path`/v2/${endpoint}/status/${id}`, 2000);
  const input = useGet<unknown>(inputPath(endpoint, id));
  const [replaying, setReplaying] = useState(false);
  const lost = job?.attempts?.at(-1);
  if (!job) {
    if (!error) return <Loading />;
    return <Empty title={error.status === 410 ? "The data of this job is deleted" : "This job cannot be shown"}>
      {error.message}
    </Empty>;
  }
  const run = (action: "cancel" | "retry", done: string) => attempt(async () => {
    await act(action, { endpoint, job });
    await reload();
  }, done);
  return (
    <>
      <Head title={<Id id={id} />} badges={<State name={job.status} />}>
        {applies("cancel", job.status) ? (
          <button type="button" class="button danger" onClick={() => run("cancel", "The job is cancelled.")}>
            Cancel
          </button>
        ) : null}
        {applies("retry", job.status) ? (
          <button type="button" class="button" title="Runs this job again, with its id"
            onClick={() => run("retry", "The job is queued again.")}>Retry</button>
        ) : null}
        <button type="button" class="button primary" title="Submits a new job with this input, which can be edited"
          onClick={() => setReplaying(true)}>Replay…</button>
      </Head>
      <div class="cols side">
        <div class="stack">
          {job.error ? (
            <Banner tone="bad">
              {lost ? <b>Lost its worker in {plural(job.attempts!.length, "attempt")}: {lost.reason}. </b> : null}
              {job.errorInfo ? <b>{job.errorInfo.code}: </b> : null}{job.error}
              <WorkerLink endpoint={endpoint} worker={job.workerId} text=" Log of the worker" />
            </Banner>
          ) : null}
          {job.queue ? (
            <Banner tone="info">
              Waits at position {job.queue.position}: {job.queue.reason.toLowerCase().replaceAll("_", " ")}
              {job.queue.detail ? `. ${job.queue.detail}` : ""}
            </Banner>
          ) : null}
          <Card title="Result">
            <div class="card-body">
              {job.output === undefined ? <p class="faint">None{job.error ? "" : " yet"}.</p>
                : <Json value={job.output} label="Result" />}
            </div>
          </Card>
          <Card title="Input">
            <div class="card-body">
              {input.data !== null ? <Json value={input.data} label="Input" />
                : <p class="faint">{input.error?.message ?? "Loading"}</p>}
            </div>
          </Card>
        </div>
        <div class="stack">
          <Card title="Attempts"><div class="card-body"><Timeline endpoint={endpoint} job={job} /></div></Card>
          <Card title="Facts"><div class="card-body"><Facts endpoint={endpoint} job={job} /></div></Card>
        </div>
      </div>
      {replaying ? (
        <Replay endpoint={endpoint} input={input.data} error={input.error} onClose={() => setReplaying(false)} />
      ) : null}
    </>
  );
}

function WorkerLink({ endpoint, worker, text }: { endpoint: string; worker: string | undefined; text?: string }) {
  const { read } = useRights();
  if (!worker) return null;
  if (!read) return text ? null : <>{worker}</>;
  return <a href={link(["endpoints", endpoint, "workers", worker])}>{text ?? worker}</a>;
}

function Timeline({ endpoint, job }: { endpoint: string; job: Job }) {
  const { timings: t } = job;
  const lost = job.attempts ?? [];
  const after = (at: string) => `+${ms(Math.max(0, Date.parse(at) - Date.parse(t.submittedAt)))}`;
  const tone = { COMPLETED: "ok", FAILED: "bad", TIMED_OUT: "bad" }[job.status] ?? "";
  return (
    <ol class="timeline">
      <li>Submitted <small><Time at={t.submittedAt} /></small></li>
      {lost.map((a) => (
        <li key={a.attempt} class="bad">
          Attempt {a.attempt} on <WorkerLink endpoint={endpoint} worker={a.worker} /> was lost
          <div class="muted">{a.reason}</div>
          <small>{after(a.startedAt)} to {after(a.endedAt)}</small>
        </li>
      ))}
      {t.startedAt ? (
        <li class="info">
          Attempt {(lost.at(-1)?.attempt ?? 0) + 1} on <WorkerLink endpoint={endpoint} worker={job.workerId} />
          <div class="muted">waited {ms(t.queueMs)}{t.coldMs ? `, of it ${ms(t.coldMs)} for a start` : ""}</div>
          <small>{after(t.startedAt)}</small>
        </li>
      ) : null}
      {t.endedAt ? (
        <li class={tone}>
          {job.status.toLowerCase().replaceAll("_", " ")}
          <div class="muted">
            {t.executionMs === undefined ? "" : `ran ${ms(t.executionMs)}, `}{ms(t.totalMs)} in all
          </div>
          <small>{after(t.endedAt)}, <Time at={t.endedAt} /></small>
        </li>
      ) : null}
    </ol>
  );
}

function Facts({ endpoint, job }: { endpoint: string; job: Job }) {
  const stages = Object.entries(job.coldStart ?? {}).map(([name, value]) => ({ name, ms: value }));
  return (
    <div class="stack">
      <dl class="facts">
        <dt>Endpoint</dt><dd><a href={link(["endpoints", endpoint])}>{endpoint}</a></dd>
        <dt>Worker</dt><dd>{job.workerId ? <WorkerLink endpoint={endpoint} worker={job.workerId} /> : "–"}</dd>
        <dt>Provider</dt><dd>{job.provider ?? "–"}</dd>
        <dt>Attempts</dt><dd>{(job.attempts?.length ?? 0) + (job.timings.startedAt ? 1 : 0)}</dd>
        <dt>Submitted</dt><dd title={job.timings.submittedAt}>{local(job.timings.submittedAt)}</dd>
        {job.timings.endedAt ? [
          <dt key="ended">Ended</dt>, <dd key="at" title={job.timings.endedAt}>{local(job.timings.endedAt)}</dd>,
        ] : null}
      </dl>
      {stages.length > 0 ? (
        <div class="stack tight">
          <h3>Cold start</h3>
          <Waterfall stages={stages} longest={stages.reduce((sum, s) => sum + s.ms, 0)} />
        </div>
      ) : null}
    </div>
  );
}

/** Submits a new job with the input of this one, which can be edited before. */
function Replay({ endpoint, input, error, onClose }:
  { endpoint: string; input: unknown; error: ApiError | null; onClose: () => void }) {
  const [text, setText] = useState(() => JSON.stringify(input, null, 2) ?? "");
  const [wrong, setWrong] = useState<string | null>(null);
  const submit = async () => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (e) {
      setWrong(`The input is not JSON: ${(e as Error).message}`);
      return;
    }
    try {
      const { id } = await call<{ id: string }>("POST", path`/v2/${endpoint}/run`, { input: value });
      onClose();
      navigate(link(["jobs", endpoint, id]));
    } catch (e) {
      setWrong((e as ApiError).message);
    }
  };
  return (
    <Dialog title="Replay with this input" onClose={onClose} footer={
      <>
        <button type="button" class="button" onClick={onClose}>Close</button>
        <button type="button" class="button primary" onClick={submit}>Submit the job</button>
      </>
    }>
      {input === null ? <ErrorBanner error={error} /> : null}
      {wrong ? <Banner tone="bad">{wrong}</Banner> : null}
      <label class="field">
        <span>Input</span>
        <textarea class="code" rows={14} spellcheck={false} value={text}
          onInput={(e) => setText(e.currentTarget.value)} />
        <small>The new job has its own id; this one stays as it is.</small>
      </label>
    </Dialog>
  );
}

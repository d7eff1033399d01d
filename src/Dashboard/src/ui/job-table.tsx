/** Jobs of one or more endpoints, with a selection and actions on it. */
import { useState } from "preact/hooks";
import { ms, plural } from "../lib/format";
import { actOnAll, applies, causeOf, type Action, type Row } from "../lib/jobs";
import { link } from "../lib/router";
import { Confirm, say } from "./dialog";
import { Id, State, Time } from "./parts";

const NAMES: Record<Action, [string, string]> = {
  cancel: ["Cancel", "cancelled"], retry: ["Retry", "queued again"], replay: ["Replay", "submitted again"],
};

const keyOf = (r: Row) => `${r.endpoint}/${r.job.id}`;

export function JobTable({ rows, reload }: { rows: Row[]; reload: () => Promise<void> }) {
  const [selected, setSelected] = useState(new Set<string>());
  const [action, setAction] = useState<Action | null>(null);
  const chosen = rows.filter((r) => selected.has(keyOf(r)));
  const toggle = (row: Row) => {
    const next = new Set(selected);
    if (!next.delete(keyOf(row))) next.add(keyOf(row));
    setSelected(next);
  };
  return (
    <>
      {chosen.length > 0 ? (
        <div class="selected-strip">
          <span>{plural(chosen.length, "job")} selected</span>
          <ActionButtons rows={chosen} onAction={setAction} />
          <button type="button" class="link-button" onClick={() => setSelected(new Set())}>Clear</button>
        </div>
      ) : null}
      <div class="scroll">
        <table class="table">
          <thead>
            <tr>
              <th class="fit">
                <input type="checkbox" aria-label="Select all jobs of this list"
                  checked={rows.length > 0 && chosen.length === rows.length}
                  onChange={(e) => setSelected(new Set(e.currentTarget.checked ? rows.map(keyOf) : []))} />
              </th>
              <th>Status</th><th>Job</th><th class="wide">Endpoint</th><th class="num wide">Wait</th>
              <th class="num wide">Run</th><th class="num wide">Attempts</th><th class="wide">Error</th>
              <th>Submitted</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((r) => (
              <tr key={keyOf(r)}>
                <td class="fit">
                  <input type="checkbox" aria-label={`Select job ${r.job.id}`} checked={selected.has(keyOf(r))}
                    onChange={() => toggle(r)} />
                </td>
                <td><State name={r.job.status} /></td>
                <td>
                  <Id id={r.job.id} href={link(["jobs", r.endpoint, r.job.id])} short />
                  <small class="phone faint">{r.endpoint}</small>
                  {r.job.error ? <small class="phone error clamp">{causeOf(r)}</small> : null}
                </td>
                <td class="wide"><a href={link(["endpoints", r.endpoint])}>{r.endpoint}</a></td>
                <td class="num wide">{ms(r.job.timings.queueMs)}</td>
                <td class="num wide">{ms(r.job.timings.executionMs)}</td>
                <td class="num wide">{(r.job.attempts?.length ?? 0) + (r.job.timings.startedAt ? 1 : 0)}</td>
                <td class="wide"><div class="clip short-error" title={r.job.error}>{causeOf(r)}</div></td>
                <td><Time at={r.job.timings.submittedAt} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {action ? (
        <Bulk action={action} rows={chosen.filter((r) => applies(action, r.job.status))} onClose={() => setAction(null)}
          reload={async () => {
            setSelected(new Set());
            await reload();
          }} />
      ) : null}
    </>
  );
}

function ActionButtons({ rows, onAction }: { rows: Row[]; onAction: (action: Action) => void }) {
  return (
    <>
      {(["cancel", "retry", "replay"] as const).map((a) => {
        const n = rows.filter((r) => applies(a, r.job.status)).length;
        return n === 0 ? null : (
          <button key={a} type="button" class="button small" onClick={() => onAction(a)}>{NAMES[a][0]} {n}</button>
        );
      })}
    </>
  );
}

/** Says how many jobs an action concerns, then runs it and reports what failed. */
export function Bulk({ action, rows, onClose, reload }:
  { action: Action; rows: Row[]; onClose: () => void; reload: () => Promise<void> }) {
  const [progress, setProgress] = useState(0);
  const [name, past] = NAMES[action];
  const counts = new Map<string, number>();
  for (const r of rows) counts.set(r.endpoint, (counts.get(r.endpoint) ?? 0) + 1);
  const run = async () => {
    const { done, errors } = await actOnAll(action, rows, setProgress);
    await reload();
    say(`${plural(done, "job")} ${past}${errors.length > 0 ? `; ${errors.length} failed: ${errors[0]}` : "."}`,
      errors.length > 0 ? "bad" : "ok");
  };
  return (
    <Confirm title={`${name} ${plural(rows.length, "job")}?`} action={`${name} ${plural(rows.length, "job")}`} run={run}
      danger={action === "cancel"} onClose={onClose}>
      <ul>{[...counts].map(([endpoint, n]) => <li key={endpoint}>{endpoint}: {plural(n, "job")}</li>)}</ul>
      {action === "replay" ? <p class="muted">Each becomes a new job with the same input.</p> : null}
      {progress > 0 ? <p role="status">{progress} of {rows.length} done</p> : null}
    </Confirm>
  );
}

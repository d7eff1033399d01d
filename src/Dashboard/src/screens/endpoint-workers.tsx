import type { Fetched } from "../lib/live";
import { useGet } from "../lib/live";
import { path } from "../lib/api";
import { bytes, ms } from "../lib/format";
import { link } from "../lib/router";
import type { Worker, WorkerList } from "../lib/types";
import { Card, Empty, ErrorBanner, Id, Loading, State, Time } from "../ui/parts";
import { Waterfall, scaleOf } from "../ui/waterfall";

/** The workers of an endpoint, with the stages of their starts, and the logs of those that ended. */
export function Workers({ id, workers }: { id: string; workers: Fetched<WorkerList> }) {
  const logs = useGet<{ logs: { worker: string; state: string; lastLineAt: string; reason: string | null }[] }>(
    path`/api/v1/endpoints/${id}/logs`, 5000);
  const { data, error } = workers;
  if (!data) return error ? <ErrorBanner error={error} /> : <Loading />;
  const longest = scaleOf(data.workers.map((w) => w.stages));
  const ended = (logs.data?.logs ?? []).filter((l) => !data.workers.some((w) => w.id === l.worker));
  return (
    <>
      <Card title="Workers" note={`${data.workers.length}`}>
        {data.workers.length === 0 ? (
          <Empty title="No worker runs" command={`curl -s $SLUICE/v2/models/${id}/ready `
            + `-H "Authorization: Bearer $SLUICE_KEY"\ncurl -s $SLUICE/v2/models/${id} `
            + `-H "Authorization: Bearer $SLUICE_KEY"   # starts a worker`}>
            The next request starts one.
          </Empty>
        ) : (
          <div class="scroll">
            <table class="table">
              <thead>
                <tr>
                  <th>Worker</th><th>State</th><th class="num">Slots in use</th><th>Start</th>
                  <th class="wide">Devices</th><th class="wide">Host</th><th class="wide">Started</th>
                </tr>
              </thead>
              <tbody>{data.workers.map((w) => <Row key={w.id} endpoint={id} worker={w} longest={longest} />)}</tbody>
            </table>
          </div>
        )}
      </Card>
      {ended.length > 0 ? (
        <Card title="Ended workers" note="whose logs are stored">
          <div class="scroll">
            <table class="table">
              <thead><tr><th>Worker</th><th>Why it ended</th><th>Last line</th></tr></thead>
              <tbody>
                {ended.map((l) => (
                  <tr key={l.worker}>
                    <td><Id id={l.worker} href={link(["endpoints", id, "workers", l.worker])} /></td>
                    <td class="wrap">{l.reason ?? <span class="faint">unknown</span>}</td>
                    <td><Time at={l.lastLineAt} /></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </Card>
      ) : null}
    </>
  );
}

function Row({ endpoint, worker: w, longest }: { endpoint: string; worker: Worker; longest: number }) {
  const used = w.slots ? w.slots.capacity - w.slots.free : 0;
  return (
    <tr>
      <td><Id id={w.id} href={link(["endpoints", endpoint, "workers", w.id])} /></td>
      <td>
        <span class="badges">
          <State name={w.slots?.draining ? "draining" : w.state} title={w.reason} />
          {w.outdated ? <State name="draining" text="outdated" title="Runs until its successor is ready" /> : null}
        </span>
        {w.state === "ready" ? null : <div class="faint">{w.reason}</div>}
        {w.download ? (
          <div class="faint">{bytes(w.download.bytes)} of {bytes(w.download.totalBytes)}</div>
        ) : null}
      </td>
      <td class="num">{w.slots ? `${used} / ${w.slots.capacity}` : "–"}</td>
      <td class="wide-cell"><Waterfall stages={w.stages} longest={longest} compact />
        <span class="faint">{ms(scaleOf([w.stages]))}</span>
      </td>
      <td class="wide">{w.devices.length ? w.devices.join(", ") : <span class="faint">CPU</span>}</td>
      <td class="wide">{w.host}</td>
      <td class="wide"><Time at={w.startedAt} /></td>
    </tr>
  );
}

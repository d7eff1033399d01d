import { useMemo, useState } from "preact/hooks";
import { absolute, clock, count, ms, plural, rate } from "../lib/format";
import { useGet } from "../lib/live";
import { link, useParam } from "../lib/router";
import { perSecond, pick, RANGES } from "../lib/series";
import type { Decision, Endpoint, Series } from "../lib/types";
import { Chart } from "../ui/chart";
import { Card, ErrorBanner, Id, Segments } from "../ui/parts";
import type { Decided } from "./endpoint";
import { Now } from "./endpoint";

/** Requests and the parts of their time apart, with the scaling decisions on the same time axis. */
export function EndpointCharts({ id, endpoint, decided }: { id: string; endpoint: Endpoint; decided: Decided | null }) {
  const [minutes, setMinutes] = useParam("minutes", "60");
  const { data, error } = useGet<Series>(
    `/api/v1/series?endpoint=${encodeURIComponent(id)}&minutes=${encodeURIComponent(minutes)}`, 10_000);
  const times = data?.times ?? [];
  const marks = useMemo(
    () => (decided?.changes ?? []).map((d) => ({ at: new Date(d.at).getTime() / 1000 })), [decided]);
  const two = (name: string) => [
    { name: "p50", tone: "c1", values: pick(data, `${name}P50Ms`) },
    { name: "p95", tone: "c2", values: pick(data, `${name}P95Ms`) },
  ];
  const common = { times, marks, sync: `endpoint-${id}` };
  return (
    <div class="stack">
      <div class="row between">
        <Now endpoint={endpoint} />
        <Segments label="Range" options={RANGES} value={minutes} onChange={setMinutes} />
      </div>
      <ErrorBanner error={error?.status === 404 ? null : error} />
      <div class="with-lane">
        <Chart {...common} title="Workers and queue" unit={count} height={170} whole lines={[
          { name: "ready", tone: "c4", values: pick(data, "workersReady"), stepped: true, area: true },
          { name: "starting", tone: "c3", values: pick(data, "workersStarting"), stepped: true },
          { name: "queued", tone: "c2", values: pick(data, "queued") },
        ]} />
        <DecisionLane times={times} changes={decided?.changes ?? []} id={id} />
      </div>
      <div class="charts">
        <Chart {...common} title="Requests per second" unit={rate} lines={[
          { name: "requests", tone: "c1", values: perSecond(data, "requests"), area: true },
          { name: "errors", tone: "c5", values: perSecond(data, "errors") },
        ]} />
        <Chart {...common} title="Wait in the queue" unit={ms} lines={two("queue")} />
        <Chart {...common} title="Cold start" unit={ms} lines={two("cold")} />
        <Chart {...common} title="Execution" unit={ms} lines={two("run")} />
        <Chart {...common} title="Time to first token" unit={ms} lines={two("firstToken")} />
        <Chart {...common} title="Tokens per second" unit={rate} lines={[
          { name: "tokens", tone: "c3", values: perSecond(data, "tokens"), area: true },
        ]} />
      </div>
      <CallIt id={id} models={endpoint.servedModels} />
    </div>
  );
}

/** The addresses of the endpoint, for a person who wants to call it from a program. */
function CallIt({ id, models }: { id: string; models: string[] }) {
  const ways: [string, string][] = [
    ["Jobs", `${location.origin}/v2/${id}/run`], ["Job with its result", `${location.origin}/v2/${id}/runsync`],
    ["OpenAI clients, base URL", `${location.origin}/v1`],
    ...models.slice(0, 3).map((m): [string, string] => [`Tensors of ${m}`, `${location.origin}/v2/models/${m}/infer`]),
    ["Any other path of the worker", `${location.origin}/e/${id}/`],
  ];
  return (
    <Card title="Call it" actions={<a href={link(["playground", id])}>Requests for curl, Python and JavaScript</a>}>
      <div class="card-body">
        <dl class="facts">
          {ways.map(([name, address]) => [<dt key={name}>{name}</dt>, <dd key={address}><Id id={address} /></dd>])}
        </dl>
      </div>
    </Card>
  );
}

/** The decisions that changed something, below the chart of the workers; one of them shows its reason. */
function DecisionLane({ times, changes, id }: { times: number[]; changes: Decision[]; id: string }) {
  const [at, setAt] = useState<string | null>(null);
  const [from, to] = [times[0], times.at(-1)];
  if (from === undefined || to === undefined || to <= from) return null;
  const inside = changes.filter((d) => {
    const time = new Date(d.at).getTime() / 1000;
    return time >= from && time <= to;
  });
  const shown = inside.find((d) => d.at === at) ?? inside[0];
  return (
    <section class="card" aria-label="Scaling decisions">
      <div class="lane">
        {inside.map((d) => {
          const part = (new Date(d.at).getTime() / 1000 - from) / (to - from);
          const text = describeChange(d);
          return (
            <button key={d.at} type="button" class={d.drain > 0 ? "down" : ""} style={{ left: `${100 * part}%` }}
              aria-pressed={d === shown} aria-label={`${clock(d.at)}: ${text}`} title={`${absolute(d.at)}: ${text}`}
              onMouseEnter={() => setAt(d.at)} onFocus={() => setAt(d.at)} onClick={() => setAt(d.at)}>
              {d.drain > 0 ? "▼" : "▲"}
            </button>
          );
        })}
      </div>
      <p class="reason">
        {shown ? (
          <>
            <b>{clock(shown.at)}</b> {describeChange(shown)}: {shown.because}{" "}
            <a href={link(["endpoints", id, "decisions"])}>All decisions</a>
          </>
        ) : "No decision changed the number of workers in this range."}
      </p>
    </section>
  );
}

export function describeChange(d: Decision): string {
  const parts = [d.start && `starts ${d.start}`, d.drain && `drains ${d.drain}`, d.resume && `resumes ${d.resume}`]
    .filter(Boolean);
  if (parts.length === 0 && d.current === d.desired) return `stays at ${plural(d.current, "worker")}`;
  return [`${d.current} → ${plural(d.desired, "worker")}`, ...parts].join(", ");
}

import { useEffect, useMemo, useState } from "preact/hooks";
import { count, money, ms, percent, plural, rate } from "../lib/format";
import { useEvents, useGet, useVisible } from "../lib/live";
import { link, useParam } from "../lib/router";
import { useRights } from "../lib/session";
import { perSecond, pick, RANGES } from "../lib/series";
import type { Overview, OverviewEndpoint, Points, Series } from "../lib/types";
import { Chart } from "../ui/chart";
import { Banner, Card, Empty, ErrorBanner, Head, Loading, Segments, State, WorkerStates } from "../ui/parts";
import { Spark } from "../ui/spark";
import { Endpoints } from "./endpoints";

const KEPT = 60;
/** Endpoints whose lines are fetched: the table has more rows than that only in large installations. */
const WITH_LINES = 40;

/** What runs now: live numbers, the last hour, and each endpoint. */
export function OverviewScreen() {
  const { read, key } = useRights();
  if (!read) {
    return (
      <Empty title={`Signed in as ${key.name || "a key"} without the scope read`}>
        This key may send requests and see its own jobs. Open the <a href={link(["playground"])}>playground</a> or
        the <a href={link(["jobs"])}>jobs</a>.
      </Empty>
    );
  }
  return <Live />;
}

function Live() {
  const first = useGet<Overview>("/api/v1/overview");
  const [live, setLive] = useState<Overview | null>(null);
  const [past, setPast] = useState<Overview[]>([]);
  const visible = useVisible();
  const { state } = useEvents(visible ? "/api/v1/overview?follow=true" : null, ["overview"], (_, data) => {
    const next = JSON.parse(data) as Overview;
    setLive(next);
    setPast((old) => [...old.slice(1 - KEPT), next]);
  });
  const [minutes, setMinutes] = useParam("minutes", "60");
  const hour = useGet<Series>(`/api/v1/series?minutes=${encodeURIComponent(minutes)}`, 15_000);
  const now = live ?? first.data;
  // A gateway without counts for charts still knows its endpoints.
  if (!now && first.error?.status === 404) return <Endpoints />;
  if (!now) return first.error ? <ErrorBanner error={first.error} /> : <Loading />;
  return (
    <div class="stack overview">
      <Head title="Overview" badges={<State name={state === "open" ? "active" : "waiting"}
        text={state === "open" ? "live" : "connecting"} />}>
        <span class="faint">Sluice {now.version}, {plural(now.gateways, "gateway")}. Numbers: mean of 30 s</span>
        <Segments label="Range" options={RANGES} value={minutes} onChange={setMinutes} />
      </Head>
      <Attention endpoints={now.endpoints} />
      <Tiles now={now} past={past} hour={hour.data} />
      <div class="charts">
        <Chart title="Requests per second" times={hour.data?.times ?? []} unit={rate} lines={[
          { name: "requests", tone: "c1", values: perSecond(hour.data, "requests"), area: true },
          { name: "errors", tone: "c5", values: perSecond(hour.data, "errors") },
        ]} />
        <Chart title="Time of requests" times={hour.data?.times ?? []} unit={ms} lines={[
          { name: "p50", tone: "c1", values: pick(hour.data, "totalP50Ms") },
          { name: "p95", tone: "c2", values: pick(hour.data, "totalP95Ms") },
        ]} />
      </div>
      <EndpointTable endpoints={now.endpoints} currency={now.currency} />
    </div>
  );
}

function Attention({ endpoints }: { endpoints: OverviewEndpoint[] }) {
  const blocked = endpoints.filter((e) => e.blocked);
  if (blocked.length === 0) return null;
  return (
    <>
      {blocked.slice(0, 5).map((e) => (
        <Banner key={e.id} tone="bad"><a href={link(["endpoints", e.id])}>{e.id}</a> cannot start: {e.blocked}</Banner>
      ))}
    </>
  );
}

function Tiles({ now, past, hour }: { now: Overview; past: Overview[]; hour: Series | null }) {
  const line = (live: (o: Overview) => number | null, series?: Points): Points =>
    past.length >= 8 ? past.map(live) : series ?? past.map(live);
  const ready = now.workers.ready ?? 0;
  const others = Object.entries(now.workers).filter(([s, n]) => s !== "ready" && n > 0).map(([s, n]) => `${n} ${s}`);
  const share = percent(now.errorsPerSecond, now.requestsPerSecond);
  return (
    <section class="tiles" aria-label="Now">
      <Tile name="Requests" value={rate(now.requestsPerSecond)} unit="/s"
        line={line((o) => o.requestsPerSecond, perSecond(hour, "requests"))} />
      <Tile name="Errors" value={rate(now.errorsPerSecond)} unit="/s" note={`${share} of requests`}
        bad={now.errorsPerSecond > 0} line={line((o) => o.errorsPerSecond, perSecond(hour, "errors"))} />
      <Tile name="p95 time" value={ms(now.p95Ms)} note={`p50 ${ms(now.p50Ms)}`}
        line={line((o) => o.p95Ms, pick(hour, "totalP95Ms"))} />
      <Tile name="Queue" value={count(now.queued)} note={`${count(now.running)} running`}
        line={line((o) => o.queued, pick(hour, "queued"))} />
      <Tile name="Tokens" value={rate(now.tokensPerSecond)} unit="/s"
        line={line((o) => o.tokensPerSecond, perSecond(hour, "tokens"))} />
      <Tile name="Workers" value={count(ready)} unit="ready" note={others.join(", ") || "no others"}
        line={line((o) => o.workers.ready ?? 0, pick(hour, "workersReady"))} />
      <Tile name="GPUs" value={`${now.gpus.used}`} unit={`of ${now.gpus.total} in use`}
        note={now.gpus.total === 0 ? "none found" : `${now.gpus.total - now.gpus.used} free`}
        line={now.gpus.total === 0 ? null : line((o) => o.gpus.used)} />
      {now.costPerHour === null ? null
        : <Tile name="Cost" value={money(costOf(now))} unit={`${now.currency} per h`} note={costNote(now)}
          line={line(costOf)} />}
    </section>
  );
}

/** What an hour of all workers and pods costs. */
function costOf(now: Overview): number {
  return (now.costPerHour ?? 0) + (now.pods?.costPerHour ?? 0);
}

function costNote(now: Overview): string {
  const unpriced = now.unpricedWorkers + (now.pods?.unpriced ?? 0);
  if (unpriced > 0) return `${unpriced} without a price`;
  const pods = now.pods?.costPerHour ?? 0;
  return pods > 0 ? `of it pods ${money(pods)}` : `${money(24 * costOf(now))} a day`;
}

function Tile({ name, value, unit, note, line, bad }: {
  name: string; value: string; unit?: string; note?: string; line: Points | null; bad?: boolean;
}) {
  return (
    <div class={`tile ${bad ? "bad" : ""}`}>
      <span class="name">{name}</span>
      <span class="value">{value}{unit ? <small>{unit}</small> : null}</span>
      <span class="note">{note ?? ""}</span>
      {line ? <Spark values={line} label={`${name} over time`} bad={bad ?? false} /> : null}
    </div>
  );
}

function EndpointTable({ endpoints, currency }: { endpoints: OverviewEndpoint[]; currency: string }) {
  const priced = endpoints.some((e) => e.costPerHour !== null);
  const lines = useLines(endpoints.slice(0, WITH_LINES).map((e) => e.id));
  if (endpoints.length === 0) {
    return (
      <Card title="Endpoints">
        <Empty title="No endpoint is declared" command={DECLARE}>
          An endpoint is what clients call. Declare one in the manifest, or with the API:
        </Empty>
      </Card>
    );
  }
  return (
    <Card title="Endpoints" note={String(endpoints.length)} actions={<a href={link(["endpoints"])}>All</a>}>
      <div class="scroll">
        <table class="table">
          <thead>
            <tr>
              <th>Endpoint</th><th>Workers</th><th class="num">Queued</th><th class="num wide">Running</th>
              <th class="num">Requests/s</th><th class="wide">Last hour</th><th class="num">Errors/s</th>
              <th class="num">p95</th>
              {priced ? <th class="num wide">{currency}/h</th> : null}
            </tr>
          </thead>
          <tbody>
            {[...endpoints].sort((a, b) => Number(!a.blocked) - Number(!b.blocked)).map((e) => (
              <tr key={e.id}>
                <td>
                  <a class="strong" href={link(["endpoints", e.id])}>{e.id}</a>{" "}
                  {e.template === e.id ? null : <span class="faint wide">{e.template}</span>}{" "}
                  {e.blocked ? <State name="blocked" title={e.blocked} /> : null}
                </td>
                <td><WorkerStates workers={e.workers} /></td>
                <td class="num">{count(e.queued)}</td>
                <td class="num wide">{count(e.running)}</td>
                <td class="num">{rate(e.requestsPerSecond)}</td>
                <td class="wide"><Spark values={lines.get(e.id) ?? []} label={`Requests of ${e.id} in the last hour`} />
                </td>
                <td class={`num ${e.errorsPerSecond > 0 ? "error" : ""}`}>{rate(e.errorsPerSecond)}</td>
                <td class="num">{ms(e.p95Ms)}</td>
                {priced ? <td class="num wide">{money(e.costPerHour)}</td> : null}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

/** The requests of each endpoint in the last hour, read once a minute and one after the other. */
function useLines(ids: string[]): Map<string, Points> {
  const [lines, set] = useState(new Map<string, Points>());
  const all = ids.join(" ");
  const wanted = useMemo(() => (all ? all.split(" ") : []), [all]);
  useEffect(() => {
    let stopped = false;
    const load = async () => {
      for (const id of wanted) {
        if (stopped || document.hidden) return;
        const series = await fetch(`/api/v1/series?endpoint=${encodeURIComponent(id)}&minutes=60`)
          .then((r) => (r.ok ? (r.json() as Promise<Series>) : null)).catch(() => null);
        if (series && !stopped) set((old) => new Map(old).set(id, perSecond(series, "requests")));
      }
    };
    void load();
    const timer = setInterval(load, 60_000);
    return () => {
      stopped = true;
      clearInterval(timer);
    };
  }, [wanted]);
  return lines;
}

const DECLARE = `curl -s $SLUICE/api/v1/endpoints -H "Authorization: Bearer $SLUICE_KEY" \\
  -d '{"id":"digits","template":"onnx-cpu"}'`;

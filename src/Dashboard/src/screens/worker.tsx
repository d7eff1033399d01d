import { useEffect, useRef, useState } from "preact/hooks";
import { path, send } from "../lib/api";
import { bytes, count, ms } from "../lib/format";
import { useEvents, useGet } from "../lib/live";
import { ofWorker, parse, type Sample } from "../lib/metrics";
import { link } from "../lib/router";
import type { LogLine, Worker, WorkerList } from "../lib/types";
import { Log, MAX_LINES } from "../ui/log";
import { Banner, Card, Empty, Head, Id, State, Time } from "../ui/parts";
import { scaleOf, Waterfall } from "../ui/waterfall";

/** One worker: its log, what it runs on, its metrics, and why it ended. */
export function WorkerScreen({ parts }: { parts: string[] }) {
  const [, endpoint, , id] = parts as [string, string, string, string];
  const list = useGet<WorkerList>(path`/api/v1/endpoints/${endpoint}/workers`, 2000);
  const { lines, state, missing } = useLog(endpoint, id);
  const seen = useRef<Worker | null>(null);
  const worker = list.data?.workers.find((w) => w.id === id) ?? null;
  if (worker) seen.current = worker;
  const known = worker ?? seen.current;
  if (missing && !known) {
    return (
      <Empty title={`The worker ${id} is not known`}>
        It has ended, and its log is not stored any more.{" "}
        <a href={link(["endpoints", endpoint, "workers"])}>Workers of {endpoint}</a>
      </Empty>
    );
  }
  const ended = list.data !== null && worker === null;
  return (
    <>
      <Head title={<Id id={id} />} badges={
        <State name={worker?.slots?.draining ? "draining" : worker?.state ?? "ended"} />
      }>
        <a class="button" href={link(["jobs"], { endpoint, find: id })}>Its jobs</a>
      </Head>
      <div class="cols side">
        <div class="stack">
          <WhyEnded worker={known} ended={ended} lines={lines} />
          <Log lines={lines} state={state} label="Log" ended="the worker has ended" />
        </div>
        <div class="stack">
          {known ? <About worker={known} endpoint={endpoint} /> : null}
          {worker?.state === "ready" ? <Metrics endpoint={endpoint} worker={id} /> : null}
        </div>
      </div>
    </>
  );
}

function useLog(endpoint: string, id: string) {
  const [lines, setLines] = useState<LogLine[]>([]);
  const [missing, setMissing] = useState(false);
  const waiting = useRef<LogLine[]>([]);
  const url = `${path`/api/v1/endpoints/${endpoint}/workers/${id}/logs`}?tail=1000&follow=true`;
  const { state } = useEvents(url, ["message"], (_, data) => {
    // A burst of lines is one update of the page.
    if (waiting.current.push(JSON.parse(data) as LogLine) > 1) return;
    setTimeout(() => {
      const next = waiting.current;
      waiting.current = [];
      setLines((old) => [...old, ...next].slice(-MAX_LINES));
    }, 50);
  }, () => setMissing(true));
  return { lines, state, missing };
}

function WhyEnded({ worker, ended, lines }: { worker: Worker | null; ended: boolean; lines: LogLine[] }) {
  if (worker?.state === "failed") {
    return (
      <Banner tone="bad">
        {worker.reason}
        {worker.lastOutput.length > 0 ? <div class="wrap mono">{worker.lastOutput.slice(-3).join("\n")}</div> : null}
      </Banner>
    );
  }
  if (!ended) return null;
  const last = lines.at(-1);
  if (last?.source === "system") {
    return (
      <Banner tone={last.text.startsWith("Failed") ? "bad" : "info"}>
        {last.text} <small><Time at={last.at} /></small>
      </Banner>
    );
  }
  return (
    <Banner tone="info">
      The worker has ended{last ? <> (last line <Time at={last.at} />)</> : null}. The log has its last lines.
    </Banner>
  );
}

/** The devices that the worker sees, with their names, or else the UUIDs that were assigned to it. */
function devicesOf(worker: Worker): string {
  if (worker.devices.length === 0) return "CPU";
  if (worker.reportedDevices.length === 0) return worker.devices.join(", ");
  return worker.reportedDevices
    .map((d) => `${d.mig ? `MIG ${d.mig} of ` : ""}${d.name} (${d.uuid})`)
    .join(", ");
}

function About({ worker: w, endpoint }: { worker: Worker; endpoint: string }) {
  return (
    <Card title="Worker">
      <div class="card-body stack">
        <dl class="facts">
          <dt>Endpoint</dt><dd><a href={link(["endpoints", endpoint])}>{endpoint}</a></dd>
          <dt>State</dt><dd>{w.reason}</dd>
          <dt>Slots</dt><dd>{w.slots ? `${w.slots.capacity - w.slots.free} of ${w.slots.capacity} in use` : "–"}</dd>
          <dt>Runs as</dt><dd>{w.runsAs} on {w.host}</dd>
          <dt>Devices</dt><dd>{devicesOf(w)}
            {w.shareMiB ? `, ${bytes(w.shareMiB * 2 ** 20)}` : ""}</dd>
          <dt>Started</dt><dd><Time at={w.startedAt} /></dd>
          <dt>Ready</dt><dd>{w.readyAt ? <Time at={w.readyAt} /> : "not yet"}</dd>
        </dl>
        <div class="stack tight">
          <h3>Start: {ms(scaleOf([w.stages]))}</h3>
          <Waterfall stages={w.stages} longest={scaleOf([w.stages])} />
        </div>
      </div>
    </Card>
  );
}

/** How often the metrics are read while the page is visible, in milliseconds. */
const METRICS_EVERY = 5000;

/** The worker's own metrics, if it runs on the host of this gateway. */
function Metrics({ endpoint, worker }: { endpoint: string; worker: string }) {
  const [samples, setSamples] = useState<Sample[] | null>(null);
  const [text, setText] = useState("");
  const url = path`/api/v1/endpoints/${endpoint}/workers/${worker}/metrics`;
  useEffect(() => {
    let stopped = false;
    const load = async () => {
      try {
        const read = parse(await (await send("GET", url)).text());
        if (!stopped) setSamples(read);
        if (!stopped) setText("");
      } catch (e) {
        if (!stopped) setText(e instanceof Error ? e.message : String(e));
      }
    };
    void load();
    const timer = setInterval(() => document.hidden || void load(), METRICS_EVERY);
    return () => {
      stopped = true;
      clearInterval(timer);
    };
  }, [url]);
  const own = samples ? ofWorker(samples, worker) : [];
  return (
    <Card title="Metrics" note="every 5 s">
      {text ? <Banner tone="bad">{text}</Banner> : null}
      {samples && own.length === 0 ? (
        <div class="card-body faint">The worker has no metrics.</div>
      ) : null}
      {own.length > 0 ? (
        <div class="scroll metrics" tabIndex={0} role="region" aria-label="Metrics">
          <table class="table">
            <thead><tr><th>Name</th><th class="num">Value</th></tr></thead>
            <tbody>
              {own.map((s) => (
                <tr key={s.name + s.labels}>
                  <td class="wrap">{s.name.replace(/^sluice_/, "")} <span class="faint">{s.labels}</span></td>
                  <td class="num">{s.name.endsWith("_bytes") ? bytes(s.value) : count(s.value)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : null}
    </Card>
  );
}

import { useRef, useState } from "preact/hooks";
import { path } from "../lib/api";
import { bytes } from "../lib/format";
import { useEvents, useGet } from "../lib/live";
import { link } from "../lib/router";
import type { Pod } from "../lib/types";
import { Log, MAX_LINES, type Line } from "../ui/log";
import { Banner, Card, Empty, ErrorBanner, Head, Id, Json, Loading, State, Time } from "../ui/parts";
import { Connect, costOf, PodActions, Stops } from "./pods";

/** One pod: how to connect, when it stops, and its log. */
export function PodScreen({ parts }: { parts: string[] }) {
  const id = parts[1]!;
  const { data: pod, error, reload } = useGet<Pod>(path`/api/v1/pods/${id}`, 2000);
  if (!pod) {
    if (error?.status === 404) {
      return <Empty title={`The pod ${id} does not exist`}><a href={link(["pods"])}>All pods</a></Empty>;
    }
    return error ? <ErrorBanner error={error} /> : <Loading />;
  }
  return (
    <>
      <Head title={pod.spec.name ?? id} badges={<><State name={pod.status} /><Id id={id} /></>}>
        <Connect pod={pod} />
        <PodActions pod={pod} reload={reload} />
      </Head>
      <div class="stack">
        {pod.reason ? <Banner tone={pod.status === "ERROR" ? "bad" : "info"}>{pod.reason}</Banner> : null}
        <div class="cols side">
          <PodLog id={id} />
          <div class="stack">
            <Card title="Pod">
              <div class="card-body">
                <dl class="facts">
                  <dt>Owner</dt><dd>{pod.owner}</dd>
                  <dt>Node</dt><dd>{pod.node ?? "–"}</dd>
                  <dt>Devices</dt><dd>{pod.devices.join(", ") || "none"}</dd>
                  <dt>Cost</dt>
                  <dd>{costOf(pod)}{pod.costPerHour === null ? "" : " per h"}</dd>
                  <Uses pod={pod} />
                  <dt>Created</dt><dd><Time at={pod.createdAt} /></dd>
                  <dt>Started</dt><dd><Time at={pod.startedAt} /></dd>
                  <dt>Last active</dt><dd><Time at={pod.lastActiveAt} /></dd>
                  <dt>Stops</dt><dd><Stops pod={pod} /></dd>
                  <dt>Locked</dt><dd>{pod.locked ? "yes" : "no"}</dd>
                </dl>
              </div>
            </Card>
            <Card title="Specification">
              <div class="card-body"><Json value={pod.spec} label="Specification" /></div>
            </Card>
          </div>
        </div>
      </div>
    </>
  );
}

/** What the pod uses; only what its host measures is shown. */
function Uses({ pod: { utilization: used, devices } }: { pod: Pod }) {
  if (!used) return null;
  return (
    <>
      {used.cpus === null ? null
        : <><dt>Processors</dt><dd>{share(used.cpus.toFixed(2), used.cpuLimit, used.cpuPercent)}</dd></>}
      {used.memory === null ? null
        : <><dt>Memory</dt>
          <dd>{share(bytes(used.memory), used.memoryLimit === null ? null : bytes(used.memoryLimit),
            used.memoryPercent)}</dd></>}
      {devices.length > 0 && used.gpus
        ? <><dt>GPU use</dt>
          <dd>{used.gpus.map((g) => `${g.percent} %, memory ${g.memoryPercent ?? "–"} %`).join("; ")}</dd></>
        : null}
    </>
  );
}

function share(used: string, limit: string | number | null, percent: number | null): string {
  return used + (limit === null ? "" : ` of ${limit}`) + (percent === null ? "" : ` (${percent} %)`);
}

function PodLog({ id }: { id: string }) {
  const [lines, setLines] = useState<Line[]>([]);
  const next = useRef(0);
  const { state } = useEvents(`${path`/api/v1/pods/${id}/logs`}?tail=1000`, ["message", "log"], (_, data) => {
    const line = readLine(data, next.current++);
    setLines((old) => [...old, line].slice(-MAX_LINES));
  });
  return <Log lines={lines} state={state} label="Log" ended="ended" />;
}

function readLine(data: string, n: number): Line {
  const { ts, source, line } = JSON.parse(data) as { ts: string; source: string; line: string };
  return { id: `${n}`, at: ts, text: line, source };
}

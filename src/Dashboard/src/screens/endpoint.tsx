import { useGet } from "../lib/live";
import { path } from "../lib/api";
import { link } from "../lib/router";
import type { Decision, Endpoint, WorkerList } from "../lib/types";
import { Banner, Empty, ErrorBanner, Head, Loading, State, Time, WorkerStates } from "../ui/parts";
import { EndpointCharts } from "./endpoint-charts";
import { Decisions } from "./endpoint-decisions";
import { Revisions } from "./endpoint-revisions";
import { Settings } from "./endpoint-settings";
import { Workers } from "./endpoint-workers";
import { EndpointState } from "./endpoints";

export interface Decided {
  latest: Decision | null;
  changes: Decision[];
}

const TABS: [string, string][] = [["", "Activity"], ["workers", "Workers"], ["decisions", "Decisions"],
  ["settings", "Settings"], ["revisions", "Revisions"]];

/** One endpoint: activity, workers, scaling decisions and settings. */
export function EndpointScreen({ parts }: { parts: string[] }) {
  const id = parts[1]!;
  const tab = parts[2] ?? "";
  const endpoint = useGet<Endpoint>(path`/api/v1/endpoints/${id}`, 3000);
  const decided = useGet<Decided>(path`/api/v1/endpoints/${id}/decisions`, 4000);
  const workers = useGet<WorkerList>(path`/api/v1/endpoints/${id}/workers`, 2000);
  const e = endpoint.data;
  if (!e) {
    if (endpoint.error?.status === 404) {
      return <Empty title={`The endpoint ${id} does not exist`}><a href={link(["endpoints"])}>All endpoints</a></Empty>;
    }
    return endpoint.error ? <ErrorBanner error={endpoint.error} /> : <Loading />;
  }
  const base = ["endpoints", id];
  return (
    <>
      <Head title={id} badges={
        <>
          <EndpointState endpoint={e} />
          {e.public ? <State name="public" text="public" title="Requests need no key" /> : null}
          {e.canary ? (
            <span class="faint">
              gets {e.canary.weight} % of <a href={link(["endpoints", e.canary.of])}>{e.canary.of}</a>
            </span>
          ) : null}
          <span class="faint">on {e.template}, declared by {e.origin === "manifest" ? "the manifest" : "the API"}</span>
        </>
      }>
        <a class="button" href={link(["jobs"], { endpoint: id })}>Jobs</a>
        <a class="button primary" href={link(["playground", id])}>Playground</a>
      </Head>
      <nav class="tabs" aria-label="Parts of the endpoint">
        {TABS.map(([part, name]) => (
          <a key={part} href={link(part ? [...base, part] : base)} aria-current={tab === part ? "page" : undefined}>
            {name}
            {part === "workers" ? <span class="count">{workers.data?.workers.length ?? ""}</span> : null}
          </a>
        ))}
      </nav>
      <div class="stack">
        <Troubles endpoint={e} />
        {tab === "" ? <EndpointCharts id={id} endpoint={e} decided={decided.data} /> : null}
        {tab === "workers" ? <Workers id={id} workers={workers} /> : null}
        {tab === "decisions" ? <Decisions decided={decided} /> : null}
        {tab === "revisions" ? <Revisions endpoint={e} reload={endpoint.reload} /> : null}
        {tab === "settings" ? <Settings endpoint={e} reload={endpoint.reload} /> : null}
      </div>
    </>
  );
}

function Troubles({ endpoint: { status } }: { endpoint: Endpoint }) {
  const { rollout, failedStarts } = status;
  return (
    <>
      {status.blocked ? <Banner tone="bad">No worker can start: {status.blocked}</Banner> : null}
      {status.noCapacity ? <Banner tone="warn">Waits for devices: {status.noCapacity.detail}</Banner> : null}
      {failedStarts && !status.blocked ? (
        <Banner tone="warn">
          {failedStarts.failures} starts failed: {failedStarts.reason}{" "}
          {failedStarts.nextTry ? <>Next start <Time at={failedStarts.nextTry} />.</> : null}
        </Banner>
      ) : null}
      {rollout ? (
        <Banner tone="info">
          A new declaration rolls out: {rollout.ready} new workers are ready, {rollout.starting} are starting,{" "}
          {rollout.outdated} old workers still serve.
          {rollout.reason ? ` ${rollout.failures} starts failed: ${rollout.reason}` : ""}
        </Banner>
      ) : null}
    </>
  );
}

/** The numbers of an endpoint now, in one line. */
export function Now({ endpoint: { status, scaling } }: { endpoint: Endpoint }) {
  return (
    <span class="row muted">
      <WorkerStates workers={status.workers} none="no worker" />
      <span>{status.queued} queued, {status.running} running, limit {scaling.max} workers</span>
    </span>
  );
}

import { count } from "../lib/format";
import { useGet } from "../lib/live";
import { link, useParam } from "../lib/router";
import { search } from "../lib/search";
import type { Endpoint } from "../lib/types";
import { Card, Empty, ErrorBanner, Head, Loading, State, WorkerStates } from "../ui/parts";

const DECLARE = `curl -s $SLUICE/api/v1/endpoints -H "Authorization: Bearer $SLUICE_KEY" \\
  -d '{"id":"digits","template":"onnx-cpu"}'`;

/** All endpoints with what runs. */
export function Endpoints() {
  const { data, error } = useGet<{ endpoints: Endpoint[] }>("/api/v1/endpoints", 4000);
  const [find, setFind] = useParam("find");
  const all = data?.endpoints ?? [];
  const shown = find ? search(all, find, (e) => `${e.id} ${e.template} ${e.servedModels.join(" ")}`, 1000) : all;
  return (
    <>
      <Head title="Endpoints" text="What clients call: a name on a template, with its scaling and its limits." />
      <ErrorBanner error={error} />
      <Card filters={
        <>
          <input class="input" type="search" placeholder="Find an endpoint" aria-label="Find an endpoint" value={find}
            onInput={(e) => setFind(e.currentTarget.value)} />
        </>
      } note={data ? `${shown.length} of ${all.length}` : ""}>
        {!data ? <Loading /> : all.length === 0 ? (
          <Empty title="No endpoint is declared" command={DECLARE}>
            Declare one in the manifest, or with the API. It starts its first worker with the first request.
          </Empty>
        ) : (
          <div class="scroll">
            <table class="table">
              <thead>
                <tr>
                  <th>Endpoint</th><th>State</th><th>Workers</th><th class="num">Queued</th><th class="num">Running</th>
                  <th class="num wide">Completed</th><th class="wide">Scaling</th><th class="wide">Template</th>
                  <th class="wide">Declared by</th>
                </tr>
              </thead>
              <tbody>{shown.map((e) => <Row key={e.id} endpoint={e} />)}</tbody>
            </table>
          </div>
        )}
      </Card>
    </>
  );
}

function Row({ endpoint: e }: { endpoint: Endpoint }) {
  return (
    <tr>
      <td><a class="strong" href={link(["endpoints", e.id])}>{e.id}</a></td>
      <td><EndpointState endpoint={e} /></td>
      <td><WorkerStates workers={e.status.workers} /></td>
      <td class="num">{count(e.status.queued)}</td>
      <td class="num">{count(e.status.running)}</td>
      <td class="num wide">{count(e.status.completed)}</td>
      <td class="wide nowrap">{e.scaling.min} to {e.scaling.max}, {e.scaling.scaler}</td>
      <td class="wide">{e.template}</td>
      <td class="wide faint">{e.origin}</td>
    </tr>
  );
}

/** One word for the state of an endpoint; its reason is the title. */
export function EndpointState({ endpoint: e }: { endpoint: Endpoint }) {
  const { blocked, rollout, noCapacity, workers } = e.status;
  if (blocked) return <State name="blocked" title={blocked} />;
  if (e.scaling.pause !== "NONE") return <State name="paused" title={`scaling.pause is ${e.scaling.pause}`} />;
  if (e.scaling.max === 0) return <State name="off" title="scaling.max is 0" />;
  if (noCapacity) return <State name="waiting" text="no GPU" title={noCapacity.detail} />;
  if (rollout) return <State name="starting" text="rolling out" title={rollout.reason ?? undefined} />;
  if ((workers.ready ?? 0) > 0) return <State name="ready" />;
  if ((workers.starting ?? 0) > 0) return <State name="starting" />;
  return <State name="asleep" title="No worker runs. The next request starts one." />;
}

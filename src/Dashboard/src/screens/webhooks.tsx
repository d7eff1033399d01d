import { useEffect, useState } from "preact/hooks";
import { call, path } from "../lib/api";
import { plural } from "../lib/format";
import { useGet } from "../lib/live";
import { link, useParam } from "../lib/router";
import { useEndpointIds, useRights } from "../lib/session";
import type { Delivery } from "../lib/types";
import { attempt } from "../ui/dialog";
import { Card, Empty, ErrorBanner, Head, Id, Loading, State, Time } from "../ui/parts";

/** Deliveries of webhooks by endpoint, with their log, and delivery once more. */
export function Webhooks() {
  const { admin } = useRights();
  const ids = useEndpointIds();
  const [chosen, setChosen] = useParam("endpoint");
  const endpoint = chosen || ids[0] || "";
  const { data, error, reload } = useGet<{ deliveries: Delivery[] }>(
    endpoint ? path`/api/v1/endpoints/${endpoint}/webhooks` : null, 3000);
  const [open, setOpen] = useParam("delivery");
  const all = data?.deliveries ?? [];
  const shown = all.find((d) => d.id === open) ?? all[0];
  return (
    <>
      <Head title="Webhooks" text="Signed results that are sent to the URL of a job, and repeated until they arrive." />
      <ErrorBanner error={error} />
      <div class={shown ? "cols side" : ""}>
        <Card filters={
          <>
            <select class="select" aria-label="Endpoint" value={endpoint}
              onChange={(e) => setChosen(e.currentTarget.value)}>
              {ids.map((id) => <option key={id} value={id}>{id}</option>)}
            </select>
          </>
        } note={plural(all.length, "delivery", "deliveries")}>
          {endpoint && !data ? (error ? null : <Loading />) : all.length === 0 ? (
            <Empty title={`No delivery of ${endpoint || "an endpoint"}`} command={COMMAND(endpoint || "story")}>
              A job with a webhook sends its result there when it ends.
            </Empty>
          ) : (
            <div class="scroll">
              <table class="table">
                <thead><tr><th>State</th><th>Delivery</th><th>URL</th><th class="num wide">Tries</th><th>Created</th>
                  <th class="wide">Next try</th></tr></thead>
                <tbody>
                  {all.map((d) => (
                    <tr key={d.id}>
                      <td><DeliveryState delivery={d} /></td>
                      <td><button type="button" class="link-button mono" aria-pressed={d === shown}
                        onClick={() => setOpen(d.id)}>{d.id.slice(-12)}</button></td>
                      <td class="wrap">
                        {d.url}
                        <small class="phone faint">{plural(d.tries, "try", "tries")}{d.next ? ", next " : ""}
                          {d.next ? <Time at={d.next} /> : null}</small>
                      </td>
                      <td class="num wide">{d.tries}</td>
                      <td><Time at={d.made} /></td>
                      <td class="wide"><Time at={d.next} /></td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </Card>
        {shown ? (
          <Card title="Delivery" actions={admin ? (
            <button type="button" class="button small" onClick={() => attempt(async () => {
              await call("POST", path`/api/v1/endpoints/${endpoint}/webhooks/${shown.id}/redeliver`);
              await reload();
            }, "The delivery is sent again.")}>Deliver again</button>
          ) : null}>
            <div class="card-body stack">
              <dl class="facts">
                <dt>Id</dt><dd><Id id={shown.id} /></dd>
                <dt>Job</dt><dd><Id id={shown.job} href={link(["jobs", endpoint, shown.job])} short /></dd>
                <dt>Job ended</dt><dd><State name={shown.jobStatus} /></dd>
                <dt>URL</dt><dd>{shown.url}</dd>
                {shown.next ? [<dt key="next">Next try</dt>, <dd key="at"><Time at={shown.next} /></dd>] : null}
              </dl>
              <DeliveryLog endpoint={endpoint} delivery={shown} />
            </div>
          </Card>
        ) : null}
      </div>
    </>
  );
}

/** A delivery that failed and waits for its next try is no longer merely pending. */
function DeliveryState({ delivery: d }: { delivery: Delivery }) {
  if (d.state !== "pending" || d.tries === 0) return <State name={d.state} />;
  return <State name="retrying" text={`${d.tries} failed`} title="It is tried again" />;
}

/** The list has no logs: the log of the chosen delivery is read by itself. */
function DeliveryLog({ endpoint, delivery }: { endpoint: string; delivery: Delivery }) {
  const [log, setLog] = useState(delivery.log);
  useEffect(() => {
    let stopped = false;
    void call<Delivery>("GET", path`/api/v1/endpoints/${endpoint}/webhooks/${delivery.id}`)
      .then((d) => stopped || setLog(d.log), () => null);
    return () => {
      stopped = true;
    };
  }, [endpoint, delivery.id, delivery.tries, delivery.state]);
  return (
    <ol class="timeline">
      {log.map((n, i) => (
        <li key={i} class={n.note.startsWith("failed") ? "bad" : "ok"}>
          {n.note} <div><small><Time at={n.at} /></small></div>
        </li>
      ))}
      {log.length === 0 ? <li class="info">No try yet</li> : null}
    </ol>
  );
}

const COMMAND = (endpoint: string) => `curl -s $SLUICE/v2/${endpoint}/run -H "Authorization: Bearer $SLUICE_KEY" \\
  -d '{"input":{"text_input":"Once"},"webhook":"https://example.com/done"}'`;

import { local, money } from "../lib/format";
import { useGet, useNow } from "../lib/live";
import { link } from "../lib/router";
import { statesOf, type PriceTable } from "../lib/usage";
import { Card, Empty, ErrorBanner, Loading, State } from "../ui/parts";

const SET = `curl -s -X PUT $SLUICE/api/v1/prices -H "Authorization: Bearer $SLUICE_KEY" \\
  -d '{"currency":"EUR","prices":[{"gpu":"H100","perHour":2.5},{"gpu":"cpu","perHour":0.1}]}'`;

const TONES = { "in force": "active", planned: "pending", replaced: "idle" };

/** What an hour of a worker costs by the type of its devices: prices in force, earlier and later ones. */
export function Prices() {
  const { data, error } = useGet<PriceTable>("/api/v1/prices", 30_000);
  const now = useNow(60_000);
  // A gateway without the ledger of usage has no prices.
  if (error?.status === 404) return null;
  return (
    <Card title="Prices" note={data?.currency ? "for an hour of one device, or of a worker without GPUs" : ""}
      actions={<a href={link(["audit"], { target: "/api/v1/prices" })}>Changes</a>}>
      {error ? <div class="card-body"><ErrorBanner error={error} /></div> : !data ? <Loading />
        : data.prices.length === 0 ? (
          <Empty title="No price is set" command={SET}>
            Usage has a cost, and the overview a cost per hour, after PUT /api/v1/prices has stored prices.
          </Empty>
        ) : (
          <>
            <div class="scroll">
              <table class="table">
                <thead>
                  <tr>
                    <th>Type</th><th>State</th><th class="num">Per hour ({data.currency})</th><th>Applies from</th>
                  </tr>
                </thead>
                <tbody>
                  {statesOf(data, now).map((p, i) => (
                    <tr key={i} class={p.state === "replaced" ? "faint" : ""}>
                      <td>{p.gpu}{p.gpu.toLowerCase() === "cpu" ? <span class="faint"> without GPUs</span> : null}</td>
                      <td><State name={TONES[p.state]} text={p.state} /></td>
                      <td class="num">{money(p.perHour)}</td>
                      <td>{new Date(p.from).getFullYear() <= 1 ? "always" : local(p.from)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
            <p class="card-body faint">
              The prices are stored in Redis, and PUT /api/v1/prices replaces all of them. They apply when usage is
              read, so a corrected price corrects earlier costs. A type without a price costs nothing in reports.
            </p>
          </>
        )}
    </Card>
  );
}

import type { Fetched } from "../lib/live";
import { show } from "../lib/diff";
import { ms, rate } from "../lib/format";
import { useParam } from "../lib/router";
import type { Decision } from "../lib/types";
import { Card, Empty, ErrorBanner, Loading, State, Time } from "../ui/parts";
import type { Decided } from "./endpoint";
import { describeChange } from "./endpoint-charts";

/** The latest scaling decision and those that changed something, each with its inputs and steps. */
export function Decisions({ decided }: { decided: Fetched<Decided> }) {
  const [open, setOpen] = useParam("decision");
  const { data, error } = decided;
  if (!data) return error ? <ErrorBanner error={error} /> : <Loading />;
  const all = [...(data.latest ? [data.latest] : []), ...data.changes.filter((d) => d.at !== data.latest?.at)];
  if (all.length === 0) {
    return <Card><Empty title="No decision yet">The first request lets the leader decide.</Empty></Card>;
  }
  const shown = all.find((d) => d.at === open) ?? all[0]!;
  return (
    <div class="cols side">
      <Card title="Decisions" note="the latest, and those that changed the number of workers">
        <div class="scroll">
          <table class="table">
            <thead><tr><th>When</th><th>Change</th><th>Reason</th><th class="wide">Decided by</th></tr></thead>
            <tbody>
              {all.map((d, i) => (
                <tr key={d.at}>
                  <td class="nowrap">
                    <Time at={d.at} /> {i === 0 && d === data.latest ? <State name="active" text="latest" /> : null}
                  </td>
                  <td class="nowrap">
                    <button type="button" class="link-button" aria-pressed={d === shown} onClick={() => setOpen(d.at)}>
                      {describeChange(d)}
                    </button>
                  </td>
                  <td>{d.because}</td>
                  <td class="wide">{d.decidedBy}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Card>
      <Steps decision={shown} />
    </div>
  );
}

/** `arrivalsPerSecond` as words: arrivals per second. */
const labelOf = (name: string) => name.replace(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`);

const TIMES = ["oldestWait", "serviceTime", "startTime", "workerTimeToday"];

/** Times of the inputs are seconds. */
function inputText(name: string, value: unknown): string {
  if (typeof value !== "number") return show(value);
  return TIMES.includes(name) ? ms(value * 1000) : Number.isInteger(value) ? String(value) : rate(value);
}

function Steps({ decision: d }: { decision: Decision }) {
  return (
    <Card title={`Why ${d.desired}`} note={d.scaler}>
      <div class="card-body stack">
        <ol class="timeline">
          {d.steps.map((s, i) => (
            <li key={i} class="info"><b>{s.name}</b>: {s.workers} <div class="muted">{s.why}</div></li>
          ))}
        </ol>
        <hr />
        <dl class="facts">
          {Object.entries(d.inputs).map(([name, value]) => [
            <dt key={name}>{labelOf(name)}</dt>, <dd key={`${name}=`}>{inputText(name, value)}</dd>,
          ])}
        </dl>
      </div>
    </Card>
  );
}

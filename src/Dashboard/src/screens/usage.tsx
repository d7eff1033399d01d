import { bytes, count, duration, money, percent, rate } from "../lib/format";
import { useGet } from "../lib/live";
import { link, useParam } from "../lib/router";
import { perSecond } from "../lib/series";
import { useRights } from "../lib/session";
import type { Key, Series } from "../lib/types";
import { sumByGroup, type GroupSum, type UsageReport } from "../lib/usage";
import { Chart } from "../ui/chart";
import { Card, Empty, ErrorBanner, Head, Loading, Segments } from "../ui/parts";
import { Budgets } from "./budgets";
import { Prices } from "./prices";

interface OwnKey extends Key {
  remaining: {
    requests: { left: number; wholeInMs: number } | null;
    tokens: { left: number; wholeInMs: number } | null;
    concurrent: number | null;
  };
}

const GROUPS = [["endpoint", "Endpoint"], ["key", "Key"], ["model", "Model"], ["tag", "Tag"]] as const;
const RANGES = [["1", "1 day"], ["7", "7 days"], ["30", "30 days"]] as const;

/** What was used and what it cost, by endpoint, key, model or tag; and what is left of the limits of this key. */
export function Usage() {
  const { read } = useRights();
  const day = useGet<Series>(read ? "/api/v1/series?minutes=1440" : null, 60_000);
  const own = useGet<OwnKey>("/api/v1/key", 5000);
  return (
    <>
      <Head title="Usage" text="Requests, tokens and worker time, and the limits of the key that is signed in." />
      <div class="stack">
        <Report />
        {read ? <Budgets /> : null}
        {read ? <Prices /> : null}
        <ErrorBanner error={day.error?.status === 404 ? null : day.error} />
        <div class="charts">
          <Chart title="Requests per second, 24 hours" times={day.data?.times ?? []} unit={rate} lines={[
            { name: "requests", tone: "c1", values: perSecond(day.data, "requests"), area: true },
            { name: "errors", tone: "c5", values: perSecond(day.data, "errors") },
          ]} />
          <Chart title="Tokens per second, 24 hours" times={day.data?.times ?? []} unit={rate} lines={[
            { name: "tokens", tone: "c3", values: perSecond(day.data, "tokens"), area: true },
          ]} />
        </div>
        {own.data ? <Limits own={own.data} /> : <Loading />}
      </div>
    </>
  );
}

/** The begin of a range of days, in UTC. It changes once a day, so that the URL of the report stays the same. */
function sinceOf(days: string, now: number): string {
  return `${new Date(now - (Number(days) - 1) * 86_400_000).toISOString().slice(0, 10)}T00:00:00Z`;
}

function Report() {
  const [groupBy, setGroupBy] = useParam("by", "endpoint");
  const [days, setDays] = useParam("days", "7");
  const query = new URLSearchParams({ groupBy, step: days === "1" ? "hour" : "day", since: sinceOf(days, Date.now()) });
  const { data, error } = useGet<UsageReport>(`/api/v1/usage?${query}`, 30_000);
  const keys = useGet<{ keys: Key[] }>(groupBy === "key" ? "/api/v1/keys?limit=1000" : null);
  const names = new Map(keys.data?.keys.map((k) => [k.id, k.name]));
  // A gateway without the ledger of usage has no report.
  if (error?.status === 404) return null;
  const sums = data ? sumByGroup(data.usage) : [];
  return (
    <Card filters={
      <>
        <Segments label="Group by" options={GROUPS} value={groupBy} onChange={setGroupBy} />
        <Segments label="Range" options={RANGES} value={days} onChange={setDays} />
      </>
    } actions={
      <a class="button small" href={`/api/v1/usage?${query}&format=csv`} download={`usage-by-${groupBy}.csv`}>CSV</a>
    }>
      {error ? <div class="card-body"><ErrorBanner error={error} /></div> : !data ? <Loading /> : sums.length === 0 ? (
        <Empty title="Nothing was used in this range" command={COMMAND}>
          Usage is counted by the hour in which a request or job ends.
        </Empty>
      ) : <Sums sums={sums} groupBy={groupBy} currency={data.currency} names={names} />}
    </Card>
  );
}

const COMMAND = 'curl -s "$SLUICE/api/v1/usage?groupBy=key" -H "Authorization: Bearer $SLUICE_KEY"';

function Sums({ sums, groupBy, currency, names }:
  { sums: GroupSum[]; groupBy: string; currency: string; names: Map<string, string> }) {
  const longest = Math.max(...sums.map((s) => s.starting + s.busy + s.idle), 1);
  const total = (of: (s: GroupSum) => number) => sums.reduce((all, s) => all + of(s), 0);
  const unpriced = total((s) => s.unpriced);
  return (
    <div class="scroll">
      <table class="table">
        {currency && unpriced > 0 ? (
          <caption>{duration(unpriced)} of worker time have no price, so the cost does not contain them.</caption>
        ) : null}
        <thead>
          <tr>
            <th>{GROUPS.find(([name]) => name === groupBy)?.[1]}</th><th class="num">Requests</th>
            <th class="num wide" title="Requests that failed; failed jobs are not among them">Request errors</th>
            <th class="num" title="Jobs that ended; they are not among the requests">Jobs</th>
            <th class="num wide" title="Jobs that failed or timed out">Failed jobs</th><th class="num">Tokens</th>
            <th class="num wide">Cold starts</th>
            <th class="wide">Worker time: <i class="key busy" /> busy <i class="key starting" /> starting{" "}
              <i class="key idle" /> idle</th>
            {currency ? <th class="num">Cost ({currency})</th> : null}
          </tr>
        </thead>
        <tbody>
          {sums.map((s) => (
            <tr key={s.group ?? ""}>
              <td><Group by={groupBy} id={s.group} name={s.group ? names.get(s.group) : undefined} /></td>
              <td class="num">{count(s.requests)}</td>
              <td class="num wide">{s.requests > 0 ? percent(s.errors, s.requests) : "–"}</td>
              <td class="num">{count(s.jobs)}</td>
              <td class={`num wide ${s.failedJobs > 0 ? "error" : ""}`}>{count(s.failedJobs)}</td>
              <td class="num">{count(s.tokens)}</td>
              <td class="num wide">{count(s.coldStarts)}</td>
              <td class="wide"><WorkerTime sum={s} longest={longest} /></td>
              {currency ? <td class="num">{money(s.cost)}</td> : null}
            </tr>
          ))}
          {groupBy === "tag" ? null : (
            <tr class="strong">
              <td>Total</td>
              <td class="num">{count(total((s) => s.requests))}</td>
              <td class="num wide">{percent(total((s) => s.errors), total((s) => s.requests))}</td>
              <td class="num">{count(total((s) => s.jobs))}</td>
              <td class="num wide">{count(total((s) => s.failedJobs))}</td>
              <td class="num">{count(total((s) => s.tokens))}</td>
              <td class="num wide">{count(total((s) => s.coldStarts))}</td>
              <td class="wide">{duration(total((s) => s.starting + s.busy + s.idle))}</td>
              {currency ? <td class="num">{money(total((s) => s.cost))}</td> : null}
            </tr>
          )}
        </tbody>
      </table>
    </div>
  );
}

function Group({ by, id, name }: { by: string; id: string | null; name: string | undefined }) {
  if (id === null) return <span class="faint">of no {by}</span>;
  if (by === "endpoint") return <a class="strong" href={link(["endpoints", id])}>{id}</a>;
  if (by === "key") return <a class="strong" href={link(["keys"], { find: id })} title={id}>{name || id}</a>;
  return <span class="strong">{id}</span>;
}

/** Busy, starting and idle time as parts of one bar. */
function WorkerTime({ sum: s, longest }: { sum: GroupSum; longest: number }) {
  const text = `busy ${duration(s.busy)}, starting ${duration(s.starting)}, idle ${duration(s.idle)}`;
  const part = (seconds: number) => ({ width: `${(100 * seconds) / longest}%` });
  return (
    <div class="row nowrap">
      <div class="meter grow" role="img" aria-label={text} title={text}>
        <span style={part(s.busy)} /><span class="starting" style={part(s.starting)} />
        <span class="other" style={part(s.idle)} />
      </div>
      <span class="faint">{duration(s.starting + s.busy + s.idle)}</span>
    </div>
  );
}

function Limits({ own }: { own: OwnKey }) {
  const { limits, remaining } = own;
  const rows: [string, string, number | null, number | null][] = [
    ["Requests per minute", limitText(limits.requestsPerMinute), remaining.requests?.left ?? null,
      remaining.requests?.wholeInMs ?? null],
    ["Tokens per minute", limitText(limits.tokensPerMinute), remaining.tokens?.left ?? null,
      remaining.tokens?.wholeInMs ?? null],
    ["Concurrent requests", limitText(limits.concurrent), remaining.concurrent, null],
    ["Size of its jobs", limits.jobBytes > 0 ? bytes(limits.jobBytes) : "the endpoint's limit", null, null],
  ];
  return (
    <Card title={`Limits of ${own.name || "this key"}`}>
      <div class="scroll">
        <table class="table">
          <thead>
            <tr><th>Limit</th><th class="num">Allowed</th><th class="num">Left now</th><th>Whole again in</th></tr>
          </thead>
          <tbody>
            {rows.map(([name, allowed, left, whole]) => (
              <tr key={name}>
                <td>{name}</td>
                <td class="num">{allowed}</td>
                <td class="num">{left === null ? "–" : count(left)}</td>
                <td>{whole === null ? "–" : duration(whole / 1000)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

const limitText = (limit: number) => (limit > 0 ? count(limit) : "no limit");

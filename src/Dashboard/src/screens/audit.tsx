import { useState } from "preact/hooks";
import { diff, show } from "../lib/diff";
import { useGet } from "../lib/live";
import { useParam } from "../lib/router";
import type { AuditEntry, Refusal } from "../lib/types";
import { Card, Empty, ErrorBanner, Head, Id, Loading, Segments, State, Time } from "../ui/parts";

const LISTS = [["changes", "Changes"], ["refused", "Refused logins"]] as const;

/** Who changed what, with the fields before and after; and the logins that were refused. */
export function AuditScreen() {
  const [kind, setKind] = useParam("list", "changes");
  const [target, setTarget] = useParam("target");
  const [actor, setActor] = useParam("actor");
  const [cursor, setCursor] = useParam("cursor");
  const query = new URLSearchParams({ limit: "50" });
  for (const [name, value] of [["target", target], ["actor", actor], ["cursor", cursor]] as const) {
    if (value && (kind === "changes" || name === "cursor")) query.set(name, value);
  }
  const base = kind === "changes" ? "/api/v1/audit" : "/api/v1/audit/refused";
  const { data, error } = useGet<{ entries: (AuditEntry | Refusal)[]; next: string | null }>(`${base}?${query}`, 5000);
  return (
    <>
      <Head title="Audit log" text="Who changed what, when and from where. Redis stores the latest 5,000 changes.">
        <a class="button" href={`${base}?format=jsonl`} download={`audit-${kind}.jsonl`}>Export</a>
      </Head>
      <ErrorBanner error={error} />
      <Card filters={
        <>
          <Segments label="List" options={LISTS} value={kind} onChange={(value) => {
            setCursor("");
            setKind(value);
          }} />
          {kind === "changes" ? (
            <>
              <input class="input" type="search" placeholder="Path, such as /api/v1/endpoints" aria-label="Path"
                value={target} onInput={(e) => setTarget(e.currentTarget.value)} />
              <input class="input" type="search" placeholder="Id of a key, or manifest" aria-label="Key" value={actor}
                onInput={(e) => setActor(e.currentTarget.value)} />
            </>
          ) : null}
        </>
      }>
        {!data ? <Loading /> : data.entries.length === 0 ? (
          <Empty title={kind === "changes" ? "No change is recorded" : "No login was refused"}
            command={'curl -s $SLUICE/api/v1/audit -H "Authorization: Bearer $SLUICE_KEY"'} />
        ) : kind === "changes" ? <Changes entries={data.entries as AuditEntry[]} />
          : <Refusals entries={data.entries as Refusal[]} />}
        {data?.next || cursor ? (
          <div class="pager">
            {cursor ? <button type="button" class="button small" onClick={() => setCursor("")}>Newest</button> : null}
            {data?.next ? (
              <button type="button" class="button small" onClick={() => setCursor(data.next!)}>Older</button>
            ) : null}
          </div>
        ) : null}
      </Card>
    </>
  );
}

function Changes({ entries }: { entries: AuditEntry[] }) {
  const [open, setOpen] = useState<string | null>(null);
  return (
    <div class="scroll">
      <table class="table">
        <thead><tr><th>When</th><th class="wide">Who</th><th>What</th><th>Changed</th><th class="wide">From</th>
          <th class="wide">Request</th></tr></thead>
        <tbody>
          {entries.map((e) => (
            <tr key={e.id}>
              <td><Time at={e.at} /></td>
              <td class="wide">{e.actorName || e.actor}</td>
              <td class="wrap target">
                <b>{e.action.split(" ")[0]}</b> <span class="mono">{e.target}</span>{" "}
                <small class="phone faint">by {e.actorName || e.actor}</small>
                {e.isUncertain ? (
                  <State name="draining" text="uncertain" title="The request ended with an error" />
                ) : null}
              </td>
              <td><Fields entry={e} open={open === e.id} toggle={() => setOpen(open === e.id ? null : e.id)} /></td>
              <td class="wide mono">{e.from}</td>
              <td class="wide">{e.requestId ? <Id id={e.requestId} /> : ""}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Fields({ entry, open, toggle }: { entry: AuditEntry; open: boolean; toggle: () => void }) {
  const changes = diff(entry.before ?? {}, entry.after ?? {});
  if (changes.length === 0) return <span class="faint">–</span>;
  const whole = entry.before === null ? "created" : entry.after === null ? "deleted" : null;
  const shown = open ? changes : whole ? [] : changes.slice(0, 3);
  return (
    <div class="mono">
      {shown.map((c) => (
        <div key={c.field} class="wrap">{c.field}: <span class="diff"><span class="old">{show(c.before)}</span> →{" "}
          <span class="new">{show(c.after)}</span></span></div>
      ))}
      {changes.length > shown.length || open ? (
        <button type="button" class="link-button" aria-expanded={open} onClick={toggle}>
          {open ? "Less" : whole ? `${whole}, ${changes.length} fields` : `${changes.length - shown.length} more`}
        </button>
      ) : null}
    </div>
  );
}

function Refusals({ entries }: { entries: Refusal[] }) {
  return (
    <div class="scroll">
      <table class="table">
        <thead><tr><th>When</th><th>From</th><th>Reason</th><th>Key</th><th class="wide">Request</th>
          <th class="num">Times</th></tr></thead>
        <tbody>
          {entries.map((r) => (
            <tr key={r.id}>
              <td><Time at={r.at} /></td><td class="mono">{r.from}</td><td>{r.reason}</td>
              <td class="mono">{r.key || "–"}</td><td class="wide mono wrap">{r.action}</td>
              <td class="num">{r.count}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

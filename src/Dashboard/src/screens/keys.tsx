import { useState } from "preact/hooks";
import { ApiError, call, path } from "../lib/api";
import { bodyOf, formOf, type KeyForm } from "../lib/key-form";
import { count } from "../lib/format";
import { useGet } from "../lib/live";
import { link, navigate, useParam } from "../lib/router";
import { search } from "../lib/search";
import { useRights } from "../lib/session";
import type { Key } from "../lib/types";
import { Confirm, Dialog, say } from "../ui/dialog";
import { Banner, Card, Check, CopyButton, Empty, ErrorBanner, Head, Id, Loading, State, Time } from "../ui/parts";

interface KeyPage {
  keys: Key[];
  next: string | null;
}

/** API keys: created, changed and revoked here. The text of a key is shown once. */
export function Keys({ parts }: { parts: string[] }) {
  const { admin, key: own } = useRights();
  const [cursor, setCursor] = useParam("cursor");
  const [find, setFind] = useParam("find");
  const query = cursor ? `?cursor=${encodeURIComponent(cursor)}` : "";
  const { data, error, reload } = useGet<KeyPage>(`/api/v1/keys${query}`, 10_000);
  const [creating, setCreating] = useState(false);
  const [made, setMade] = useState<string | null>(null);
  const [revoking, setRevoking] = useState<Key | null>(null);
  const keys = data?.keys ?? [];
  const shown = find ? search(keys, find, (k) => `${k.name} ${k.id} ${k.last4 ?? ""}`, 1000) : keys;
  const edited = keys.find((k) => k.id === parts[1]) ?? null;
  return (
    <>
      <Head title="Keys" text="Each client has its own key, with the endpoints and limits that it needs.">
        {admin ? (
          <button type="button" class="button primary" onClick={() => setCreating(true)}>Create a key</button>
        ) : null}
      </Head>
      <ErrorBanner error={error} />
      {made ? <Made text={made} onClose={() => setMade(null)} /> : null}
      <Card filters={
        <>
          <input class="input" type="search" placeholder="Find a key" aria-label="Find a key" value={find}
            onInput={(e) => setFind(e.currentTarget.value)} />
        </>
      } note={data ? `${shown.length}` : ""}>
        {!data ? <Loading /> : shown.length === 0 ? (
          <Empty title={find ? "No key matches" : "No stored key"} command={CREATE}>
            A key of the environment (SLUICE_ADMIN_KEY) is not in this list.
          </Empty>
        ) : (
          <Table keys={shown} own={own.id} admin={admin} onRevoke={setRevoking} />
        )}
        {data?.next ? (
          <div class="pager">
            <button type="button" class="button small" onClick={() => setCursor(data.next!)}>Next page</button>
          </div>
        ) : null}
      </Card>
      {creating || (edited && admin) ? (
        <Edit key={edited?.id ?? "new"} current={creating ? null : edited} onClose={() => {
          setCreating(false);
          if (edited) navigate(link(["keys"]), true);
        }} onSaved={async (text) => {
          setMade(text);
          await reload();
        }} />
      ) : null}
      {revoking ? (
        <Confirm title={`Revoke the key ${revoking.name || revoking.id}?`} action="Revoke"
          onClose={() => setRevoking(null)} run={async () => {
            await call("DELETE", path`/api/v1/keys/${revoking.id}`);
            say("The key is revoked. Every gateway rejects it within 2 s.");
            await reload();
          }}>
          {revoking.id === own.id ? <b>You are signed in with this key: your session ends. </b> : null}
          Requests with it get 401. This cannot be undone.
        </Confirm>
      ) : null}
    </>
  );
}

const CREATE = `curl -s $SLUICE/api/v1/keys -H "Authorization: Bearer $SLUICE_KEY" \\
  -d '{"name":"ann","invoke":["digits"],"requestsPerMinute":600}'`;

function Table({ keys, own, admin, onRevoke }:
  { keys: Key[]; own: string; admin: boolean; onRevoke: (key: Key) => void }) {
  return (
    <div class="scroll">
      <table class="table">
        <thead>
          <tr>
            <th>Name</th><th class="wide">Id, last characters</th><th>Scope</th><th class="wide">Limits</th>
            <th class="wide">Tags</th><th>Last use</th><th class="wide">Created</th><th class="wide">Expires</th>
            <th><span class="sr">Actions</span></th>
          </tr>
        </thead>
        <tbody>
          {keys.map((k) => (
            <tr key={k.id}>
              <td>
                {admin ? <a class="strong" href={link(["keys", k.id])}>{k.name || "unnamed"}</a>
                  : <span class="strong">{k.name || "unnamed"}</span>}{" "}
                {k.id === own ? <State name="active" text="you" /> : null}
              </td>
              <td class="wide"><Id id={k.id} /> <span class="faint">…{k.last4}</span></td>
              <td><Scopes k={k} /></td>
              <td class="wide">{limitsOf(k)}</td>
              <td class="wide">
                <span class="badges">
                  {Object.entries(k.tags).map(([n, v]) => <span key={n} class="badge plain">{n}={v}</span>)}
                </span>
              </td>
              <td><Time at={k.lastUsedAt} none="never" /></td>
              <td class="wide"><Time at={k.createdAt} /></td>
              <td class="wide"><Time at={k.expiresAt} none="never" /></td>
              <td class="fit">
                {admin ? <button type="button" class="button small danger" onClick={() => onRevoke(k)}>Revoke</button>
                  : null}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Scopes({ k }: { k: Key }) {
  const names = (["admin", "read", "metrics"] as const).filter((n) => k.scope[n]);
  const isEmpty = names.length + k.scope.invoke.length + (k.scope.pods?.length ?? 0) === 0;
  return (
    <span class="badges">
      {names.map((n) => <span key={n} class={`badge plain ${n === "admin" ? "warn" : "info"}`}>{n}</span>)}
      {k.scope.invoke.map((e) => <span key={e} class="badge plain">{e === "*" ? "every endpoint" : e}</span>)}
      {(k.scope.pods ?? []).map((p) => <span key={p} class="badge plain">pod {p}</span>)}
      {isEmpty ? <span class="faint">none</span> : null}
    </span>
  );
}

function limitsOf({ limits: l }: Key) {
  const parts = [
    l.requestsPerMinute > 0 && `${count(l.requestsPerMinute)} requests/min`,
    l.tokensPerMinute > 0 && `${count(l.tokensPerMinute)} tokens/min`,
    l.concurrent > 0 && `${count(l.concurrent)} at a time`,
    l.queued > 0 && `${count(l.queued)} waiting jobs`,
  ].filter(Boolean);
  return parts.length > 0 ? parts.join(", ") : <span class="faint">none</span>;
}

function Made({ text, onClose }: { text: string; onClose: () => void }) {
  return (
    <Banner tone="ok">
      <div>The key is created. Its text is shown only now:</div>
      <div class="row"><code class="wrap" data-key>{text}</code><CopyButton text={text} label="Copy the key" />
        <button type="button" class="button small" onClick={onClose}>I have stored it</button></div>
    </Banner>
  );
}

const TEXTS: [keyof KeyForm, string, string][] = [
  ["invoke", "Endpoints", "Ids, separated by commas; * is every endpoint"],
  ["pods", "Pods", "Ids of pods that it may open, or *"],
  ["tags", "Tags", "team=vision, project=ocr"],
  ["requestsPerMinute", "Requests per minute", "Empty: no limit"],
  ["tokensPerMinute", "Tokens per minute", "Empty: no limit"],
  ["concurrent", "Concurrent requests", "Empty: no limit"],
  ["queued", "Waiting jobs", "At each endpoint; empty: no limit"],
  ["weight", "Weight", "Share while requests wait; 1 if empty"],
];

function Edit({ current, onClose, onSaved }:
  { current: Key | null; onClose: () => void; onSaved: (text: string | null) => Promise<void> }) {
  const [form, setForm] = useState(() => formOf(current));
  const [error, setError] = useState<string | null>(null);
  const set = (name: keyof KeyForm, value: string | boolean) => setForm({ ...form, [name]: value });
  const save = async () => {
    const result = bodyOf(form, current === null);
    if ("error" in result) {
      setError(result.error);
      return;
    }
    try {
      if (current) await call("PATCH", path`/api/v1/keys/${current.id}`, result.body);
      const made = current ? null : await call<{ key: string }>("POST", "/api/v1/keys", result.body);
      await onSaved(made?.key ?? null);
      if (current) say("The key is changed.");
      onClose();
    } catch (e) {
      setError((e as ApiError).message);
    }
  };
  return (
    <Dialog title={current ? `Key ${current.name || current.id}` : "Create a key"} onClose={onClose} footer={
      <>
        <button type="button" class="button" onClick={onClose}>Close</button>
        <button type="button" class="button primary" onClick={save}>{current ? "Save" : "Create"}</button>
      </>
    }>
      {error ? <Banner tone="bad">{error}</Banner> : null}
      <label class="field"><span>Name</span>
        <input class="input" value={form.name} maxLength={100} onInput={(e) => set("name", e.currentTarget.value)} />
      </label>
      <div class="row" role="group" aria-label="Scopes">
        <Check label="admin" note="everything" checked={form.admin} disabled={current !== null}
          onChange={(on) => set("admin", on)} />
        <Check label="read" note="sees everything" checked={form.read} onChange={(on) => set("read", on)} />
        <Check label="metrics" note="Prometheus" checked={form.metrics} onChange={(on) => set("metrics", on)} />
      </div>
      <div class="form-grid">
        {TEXTS.map(([name, label, note]) => (
          <label key={name} class="field"><span>{label}</span>
            <input class="input" value={String(form[name])} onInput={(e) => set(name, e.currentTarget.value)} />
            <small>{note}</small>
          </label>
        ))}
        <label class="field"><span>Expires</span>
          <input class="input" type="datetime-local" value={form.expiresAt}
            onInput={(e) => set("expiresAt", e.currentTarget.value)} />
          <small>Empty: never</small>
        </label>
      </div>
    </Dialog>
  );
}

import { useState } from "preact/hooks";
import { ApiError, call, path } from "../lib/api";
import { count, duration, money } from "../lib/format";
import { useGet } from "../lib/live";
import { useRights } from "../lib/session";
import { Confirm, Dialog, say } from "../ui/dialog";
import { Banner, Card, Empty, ErrorBanner, Loading, State, Time } from "../ui/parts";

interface Budget {
  id: string;
  name: string;
  scope: string;
  target: string;
  unit: string;
  window: string;
  limit: number;
  webhook: string;
  used: number;
  windowStartsAt: string;
  resetsAt: string;
}

const CREATE = `curl -s $SLUICE/api/v1/budgets -H "Authorization: Bearer $SLUICE_KEY" \\
  -d '{"scope":"tag","target":"team=vision","unit":"tokens","window":"day","limit":1000000}'`;

/** Limits of what the gateway, an endpoint, a key or a tag may use in a day, week or month. */
export function Budgets() {
  const { admin } = useRights();
  const { data, error, reload } = useGet<{ budgets: Budget[] }>("/api/v1/budgets", 5000);
  const [editing, setEditing] = useState<Budget | "new" | null>(null);
  const [deleting, setDeleting] = useState<Budget | null>(null);
  // A gateway without budgets has no such path.
  if (error?.status === 404) return null;
  return (
    <Card title="Budgets" actions={admin ? (
      <button type="button" class="button small" onClick={() => setEditing("new")}>Create a budget</button>
    ) : null}>
      {error ? <div class="card-body"><ErrorBanner error={error} /></div> : !data ? <Loading />
        : data.budgets.length === 0 ? (
          <Empty title="No budget" command={CREATE}>
            A request that has no room in one of its budgets is refused with the status 402.
          </Empty>
        ) : (
          <div class="scroll">
            <table class="table">
              <thead>
                <tr>
                  <th>Budget</th><th>Applies to</th><th>Used</th><th class="num">Limit</th><th>Resets</th>
                  <th><span class="sr">Actions</span></th>
                </tr>
              </thead>
              <tbody>
                {data.budgets.map((b) => (
                  <tr key={b.id}>
                    <td class="strong">{b.name || b.id}</td>
                    <td>{b.scope}{b.target ? ` ${b.target}` : ""}</td>
                    <td><Used budget={b} /></td>
                    <td class="num">{amount(b, b.limit)} a {b.window}</td>
                    <td><Time at={b.resetsAt} /></td>
                    <td class="fit">
                      {admin ? (
                        <span class="badges">
                          <button type="button" class="button small" onClick={() => setEditing(b)}>Change</button>
                          <button type="button" class="button small danger" onClick={() => setDeleting(b)}>
                            Delete
                          </button>
                        </span>
                      ) : null}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      {editing ? (
        <Edit current={editing === "new" ? null : editing} onClose={() => setEditing(null)} onSaved={reload} />
      ) : null}
      {deleting ? (
        <Confirm title={`Delete the budget ${deleting.name || deleting.id}?`} action="Delete"
          onClose={() => setDeleting(null)} run={async () => {
            await call("DELETE", path`/api/v1/budgets/${deleting.id}`);
            say("The budget is deleted.");
            await reload();
          }}>Its limit does not apply any more. What was used stays in the reports.</Confirm>
      ) : null}
    </Card>
  );
}

/** A number in the unit of a budget. */
function amount({ unit }: Budget, value: number): string {
  if (unit === "workerSeconds") return duration(value);
  return unit === "money" ? money(value) : `${count(value)} ${unit}`;
}

function Used({ budget: b }: { budget: Budget }) {
  const share = b.limit > 0 ? b.used / b.limit : 1;
  return (
    <div class="row nowrap">
      <div class="meter grow" role="img" aria-label={`${Math.round(100 * share)} % used`}>
        <span class={share >= 1 ? "full" : ""} style={{ width: `${Math.min(100, 100 * share)}%` }} />
      </div>
      <span>{amount(b, b.used)}</span>
      {share >= 1 ? <State name="blocked" text="used up" /> : null}
      {share >= 0.8 && share < 1 ? <State name="draining" text="80 %" /> : null}
    </div>
  );
}

const CHOICES: [string, string, string[]][] = [
  ["scope", "Scope", ["gateway", "endpoint", "key", "tag"]],
  ["unit", "Unit", ["requests", "tokens", "workerSeconds", "money"]],
  ["window", "Window", ["day", "week", "month"]],
];

function Edit({ current, onClose, onSaved }:
  { current: Budget | null; onClose: () => void; onSaved: () => Promise<void> }) {
  const [form, setForm] = useState<Record<string, string>>({
    name: current?.name ?? "", scope: current?.scope ?? "gateway", target: current?.target ?? "",
    unit: current?.unit ?? "requests", window: current?.window ?? "day", limit: current ? String(current.limit) : "",
    webhook: current?.webhook ?? "",
  });
  const [error, setError] = useState<string | null>(null);
  const set = (name: string, value: string) => setForm({ ...form, [name]: value });
  const save = async () => {
    const limit = Number(form.limit);
    if (!form.limit?.trim() || !(limit >= 0)) {
      setError(`limit is '${form.limit}'; expected a number`);
      return;
    }
    const given = Object.fromEntries(Object.entries(form).filter(([, v]) => v.trim() !== ""));
    try {
      if (current) await call("PUT", path`/api/v1/budgets/${current.id}`, { ...given, limit });
      else await call("POST", "/api/v1/budgets", { ...given, limit });
      await onSaved();
      onClose();
    } catch (e) {
      setError((e as ApiError).message);
    }
  };
  const text = (name: string, label: string, note: string, isFixed = false) => (
    <label class="field"><span>{label}</span>
      <input class="input" value={form[name]} disabled={isFixed} onInput={(e) => set(name, e.currentTarget.value)} />
      <small>{note}</small>
    </label>
  );
  return (
    <Dialog title={current ? `Budget ${current.name || current.id}` : "Create a budget"} onClose={onClose} footer={
      <>
        <button type="button" class="button" onClick={onClose}>Close</button>
        <button type="button" class="button primary" onClick={save}>{current ? "Save" : "Create"}</button>
      </>
    }>
      {error ? <Banner tone="bad">{error}</Banner> : null}
      {text("name", "Name", "For people")}
      <div class="form-grid">
        {CHOICES.map(([name, label, options]) => (
          <label key={name} class="field"><span>{label}</span>
            <select class="select" value={form[name]} disabled={current !== null}
              onChange={(e) => set(name, e.currentTarget.value)}>
              {options.map((o) => <option key={o} value={o}>{o}</option>)}
            </select>
          </label>
        ))}
        {text("target", "Target", "Id of an endpoint or key, or name=value of a tag", current !== null)}
        {text("limit", "Limit", "In the unit")}
        {text("webhook", "Webhook", "Gets alerts at 50, 80 and 100 %, and if the window would end above the limit")}
      </div>
    </Dialog>
  );
}

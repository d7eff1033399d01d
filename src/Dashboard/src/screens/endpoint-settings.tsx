import { useState } from "preact/hooks";
import { ApiError, call, path } from "../lib/api";
import { diff, show, valueAt, withValue, type Change } from "../lib/diff";
import { useRights } from "../lib/session";
import { FIELDS, GROUPS, readField, textOf, type Field } from "../lib/settings";
import type { Endpoint } from "../lib/types";
import { say } from "../ui/dialog";
import { Banner, Card, Json } from "../ui/parts";

/** The declaration without what the gateway adds to it. */
function declarationOf(endpoint: Endpoint): Record<string, unknown> {
  const { status: _status, origin: _origin, servedModels: _served, ...declaration } = endpoint;
  return declaration;
}

/** The settings of an endpoint: each change is checked by the gateway and shown before it is made. */
export function Settings({ endpoint, reload }: { endpoint: Endpoint; reload: () => Promise<void> }) {
  const { admin } = useRights();
  const [texts, setTexts] = useState<Record<string, string>>({});
  const [errors, setErrors] = useState<Record<string, string>>({});
  const [changes, setChanges] = useState<Change[] | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const fixedBy = endpoint.origin === "manifest";
  const before = declarationOf(endpoint);
  const url = path`/api/v1/endpoints/${endpoint.id}`;
  const edited = FIELDS.filter((f) => f.path in texts && texts[f.path] !== textOf(f, valueAt(before, f.path)));
  const after = () => edited.reduce((object, f) => {
    const result = readField(f, texts[f.path]!);
    return "value" in result ? withValue(object, f.path, result.value) : object;
  }, before);
  const change = (field: Field, text: string) => {
    setTexts({ ...texts, [field.path]: text });
    setChanges(null);
    const result = readField(field, text);
    const { [field.path]: _old, ...others } = errors;
    setErrors("error" in result ? { ...others, [field.path]: result.error } : others);
  };
  const showFailure = (e: unknown) => {
    const error = e as ApiError;
    const known = (error.errors ?? []).filter((x) => FIELDS.some((f) => f.path === x.field));
    setErrors(Object.fromEntries(known.map((x) => [x.field, `is ${x.value}; expected ${x.expected}`])));
    setFailure(known.length > 0 ? null : error.message);
  };
  const review = async () => {
    setBusy(true);
    setFailure(null);
    try {
      if (!fixedBy) await call("PUT", `${url}?dryRun=true`, after());
      setChanges(diff(before, after()));
    } catch (e) {
      showFailure(e);
    }
    setBusy(false);
  };
  const apply = async () => {
    setBusy(true);
    try {
      await call("PUT", url, after());
      setTexts({});
      setChanges(null);
      say(`The settings of ${endpoint.id} are changed.`);
      await reload();
    } catch (e) {
      showFailure(e);
    }
    setBusy(false);
  };
  const wrong = Object.keys(errors).length;
  return (
    <>
      {fixedBy ? (
        <Banner tone="info">
          The manifest declares this endpoint, so it is changed there. Edit the fields here to get the lines to write.
        </Banner>
      ) : null}
      {failure ? <Banner tone="bad">{failure}</Banner> : null}
      <section class="card" aria-label="Settings">
        <div class="card-body stack">
          <span />
          {GROUPS.filter((g) => !g.needs || valueAt(before, g.needs)).map((g) => (
            <fieldset key={g.title} class="group">
              <legend>{g.title}</legend>
              <div class="form-grid">
                {g.fields.map((f) => (
                  <Input key={f.path} field={f} disabled={!admin} error={errors[f.path]}
                    text={texts[f.path] ?? textOf(f, valueAt(before, f.path))} onText={(t) => change(f, t)} />
                ))}
              </div>
            </fieldset>
          ))}
        </div>
        <div class="bar-strip">
          <button type="button" class="button primary" onClick={review}
            disabled={!admin || busy || edited.length === 0 || wrong > 0}>Review changes</button>
          {edited.length > 0 ? (
            <button type="button" class="button" onClick={() => {
              setTexts({});
              setErrors({});
              setChanges(null);
              setFailure(null);
            }}>Discard</button>
          ) : null}
          <span class="muted" role="status">
            {!admin ? "A change needs a key with the scope admin." : wrong > 0 ? `${wrong} fields are invalid.`
              : edited.length > 0 ? `${edited.length} changed.` : "Nothing is changed."}
          </span>
        </div>
      </section>
      {changes ? <Review changes={changes} fixedBy={fixedBy} busy={busy} apply={apply} /> : null}
      <Card title="Declaration"><div class="card-body"><Json value={before} label="Declaration" /></div></Card>
    </>
  );
}

/** The fields that change, with their values now and then. */
export function ChangeTable({ changes }: { changes: Change[] }) {
  return (
    <div class="scroll">
      <table class="table diff">
        <thead><tr><th>Field</th><th>Now</th><th>New</th></tr></thead>
        <tbody>
          {changes.map((c) => (
            <tr key={c.field}>
              <td>{c.field}</td><td class="old">{show(c.before)}</td><td class="new">{show(c.after)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Review({ changes, fixedBy, busy, apply }:
  { changes: Change[]; fixedBy: boolean; busy: boolean; apply: () => void }) {
  return (
    <Card title="Changes" note={fixedBy ? "for the manifest" : "the gateway has checked them; nothing is changed yet"}>
      <ChangeTable changes={changes} />
      {fixedBy ? (
        <div class="card-body">
          <Json label="Lines for the manifest" value={changes.map((c) => `${c.field}: ${show(c.after)}`).join("\n")} />
        </div>
      ) : (
        <div class="bar-strip">
          <button type="button" class="button primary" disabled={busy} onClick={apply}>Apply</button>
        </div>
      )}
    </Card>
  );
}

function Input({ field: f, text, error, onText, disabled }: {
  field: Field; text: string; error: string | undefined; onText: (text: string) => void; disabled: boolean;
}) {
  const id = `field-${f.path}`;
  const common = {
    id, disabled, name: f.path, "aria-invalid": error ? true : undefined, "aria-describedby": `${id}-note`,
  };
  const options = f.type === "bool" ? ["false", "true"] : f.options;
  return (
    <div class="field">
      <label for={id}>{f.label}</label>
      {options ? (
        <select class="select" {...common} value={text} onChange={(e) => onText(e.currentTarget.value)}>
          {options.map((o) => (
            <option key={o} value={o}>{f.type === "bool" ? (o === "true" ? "yes" : "no") : o}</option>
          ))}
        </select>
      ) : (
        <input class="input" {...common} value={text} autoComplete="off"
          inputMode={f.type === "int" ? "numeric" : "text"} onInput={(e) => onText(e.currentTarget.value)} />
      )}
      <span id={`${id}-note`}>
        {error ? <span class="error">{f.path} {error}</span> : <small>{f.note}</small>}
      </span>
    </div>
  );
}

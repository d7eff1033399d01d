import { useState } from "preact/hooks";
import { ApiError, call, path } from "../lib/api";
import { money } from "../lib/format";
import { useGet } from "../lib/live";
import { link, navigate } from "../lib/router";
import { useRights } from "../lib/session";
import type { Pod } from "../lib/types";
import { attempt, Confirm, Dialog } from "../ui/dialog";
import { Banner, Card, Empty, ErrorBanner, Head, Id, Loading, State, Time } from "../ui/parts";

const CREATE = `curl -s $SLUICE/api/v1/pods -H "Authorization: Bearer $SLUICE_KEY" \\
  -d '{"name":"notebook","template":"jupyter"}'`;

/** Notebooks, editors and other programs that run until they are stopped. */
export function Pods() {
  const { admin } = useRights();
  const { data, error, reload } = useGet<{ pods: Pod[] }>("/api/v1/pods", 3000);
  const [creating, setCreating] = useState(false);
  return (
    <>
      <Head title="Pods" text="Notebooks, editors and other programs that run until they are stopped.">
        {admin ? <button type="button" class="button primary" onClick={() => setCreating(true)}>Create a pod</button>
          : null}
      </Head>
      <ErrorBanner error={error} />
      <Card>
        {!data ? <Loading /> : data.pods.length === 0 ? (
          <Empty title="No pod" command={CREATE}>
            A pod is made from a template or an image. Pods need the Docker host, or a template that the process host
            permits.
          </Empty>
        ) : (
          <div class="scroll">
            <table class="table">
              <thead>
                <tr>
                  <th>Pod</th><th>Status</th><th>Connect</th><th class="wide">Template or image</th>
                  <th class="wide">GPUs</th><th class="num wide">Cost per hour</th><th>Stops</th>
                  <th class="wide"><span class="sr">Actions</span></th>
                </tr>
              </thead>
              <tbody>
                {data.pods.map((p) => (
                  <tr key={p.id}>
                    <td><a class="strong" href={link(["pods", p.id])}>{p.spec.name ?? p.id}</a> <Id id={p.id} /></td>
                    <td><State name={p.status} title={p.reason} /></td>
                    <td><Connect pod={p} /></td>
                    <td class="wide">{p.spec.template ?? p.spec.image ?? "–"}</td>
                    <td class="wide">{p.devices.length > 0 ? p.devices.length : <span class="faint">none</span>}</td>
                    <td class="num wide">{costOf(p)}</td>
                    <td><Stops pod={p} /></td>
                    <td class="fit wide"><PodActions pod={p} reload={reload} /></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Card>
      {creating ? <Create onClose={() => setCreating(false)} /> : null}
    </>
  );
}

/** What an hour of the pod costs, with the currency. */
export function costOf(pod: Pod): string {
  return pod.costPerHour === null ? "no price" : `${money(pod.costPerHour)} ${pod.currency ?? ""}`;
}

/** When a pod will be stopped, and why. */
export function Stops({ pod }: { pod: Pod }) {
  const times: [string, string | null][] = [["idle", pod.idleStopAt], ["limit", pod.stopAt],
    ["terminated", pod.terminateAt]];
  const known = times.filter((t): t is [string, string] => t[1] !== null).sort((a, b) => (a[1] < b[1] ? -1 : 1));
  if (known.length === 0) return <span class="faint">when you stop it</span>;
  return <span><Time at={known[0]![1]} /> <span class="faint">{known[0]![0]}</span></span>;
}

/** Opens a port in a new window, by a link that works once. */
export function Connect({ pod }: { pod: Pod }) {
  const open = (port: number) => {
    // The window is opened by the click itself; otherwise browsers block it.
    const opened = window.open("about:blank", "_blank");
    void attempt(async () => {
      try {
        const { url } = await call<{ url: string }>("POST", `${path`/api/v1/pods/${pod.id}/links`}?port=${port}`);
        if (!opened) location.assign(url);
        else {
          opened.opener = null;
          opened.location.replace(url);
        }
      } catch (e) {
        opened?.close();
        throw e;
      }
    });
  };
  if (pod.ports.length === 0) return <span class="faint">no port</span>;
  return (
    <span class="badges">
      {pod.ports.map((p) => (p.kind === "http" ? (
        <button key={p.port} type="button" class="button small" disabled={pod.status !== "RUNNING"}
          onClick={() => open(p.port)}>Open {p.port}</button>
      ) : <span key={p.port} class="badge plain">{p.port}/tcp{p.public ? ` at ${p.public}` : ""}</span>))}
    </span>
  );
}

const NAMES: Record<string, string> = { start: "Start", stop: "Stop", restart: "Restart", terminate: "Terminate…" };

export function PodActions({ pod, reload }: { pod: Pod; reload: () => Promise<void> }) {
  const { admin } = useRights();
  const [ending, setEnding] = useState(false);
  if (!admin) return null;
  const run = async (action: string) => {
    await call("POST", `${path`/api/v1/pods/${pod.id}/`}${action}`);
    await reload();
  };
  return (
    <span class="badges pod-actions">
      {pod.actions.filter((a) => a in NAMES).map((a) => (
        <button key={a} type="button" class={`button small ${a === "terminate" ? "danger apart" : ""}`}
          onClick={() => (a === "terminate" ? setEnding(true) : void attempt(() => run(a)))}>{NAMES[a]}</button>
      ))}
      {ending ? (
        <Confirm title={`Terminate ${pod.spec.name ?? pod.id}?`} action="Terminate" run={() => run("terminate")}
          onClose={() => setEnding(false)}>Its container and its volume are deleted.</Confirm>
      ) : null}
    </span>
  );
}

function Create({ onClose }: { onClose: () => void }) {
  const { data } = useGet<{ templates: { name: string; pod?: unknown }[] }>("/api/v1/templates");
  const [form, setForm] = useState({ name: "", template: "", image: "" });
  const [error, setError] = useState<string | null>(null);
  const all = data?.templates ?? [];
  const fits = all.filter((t) => t.pod);
  const create = async () => {
    try {
      const body = Object.fromEntries(Object.entries(form).filter(([, v]) => v.trim() !== ""));
      const { id } = await call<Pod>("POST", "/api/v1/pods", body);
      onClose();
      navigate(link(["pods", id]));
    } catch (e) {
      setError((e as ApiError).message);
    }
  };
  return (
    <Dialog title="Create a pod" onClose={onClose} footer={
      <>
        <button type="button" class="button" onClick={onClose}>Close</button>
        <button type="button" class="button primary" onClick={create}>Create</button>
      </>
    }>
      {error ? <Banner tone="bad">{error}</Banner> : null}
      <label class="field"><span>Name</span>
        <input class="input" value={form.name} onInput={(e) => setForm({ ...form, name: e.currentTarget.value })} />
      </label>
      <label class="field"><span>Template</span>
        <select class="select" value={form.template}
          onChange={(e) => setForm({ ...form, template: e.currentTarget.value })}>
          <option value="">none</option>
          {(fits.length > 0 ? fits : all).map((t) => <option key={t.name} value={t.name}>{t.name}</option>)}
        </select>
        <small>Its fields are copied to the pod.</small>
      </label>
      <label class="field"><span>Image</span>
        <input class="input" placeholder="of the template" value={form.image}
          onInput={(e) => setForm({ ...form, image: e.currentTarget.value })} />
      </label>
    </Dialog>
  );
}

import { bytes } from "../lib/format";
import { show } from "../lib/diff";
import { useGet } from "../lib/live";
import { link } from "../lib/router";
import type { Gpu, GpuList } from "../lib/types";
import { Banner, Card, Empty, ErrorBanner, Head, Id, Json, Loading, State, Time } from "../ui/parts";

interface Doctor {
  served?: boolean;
  serving?: string;
  verdict?: string;
  notes?: string[];
  layers?: { layer: string; found: string; needed: string }[];
}

interface HostList {
  hosts: { id: string; examinedAt: string; doctor: Doctor }[];
}

/** GPUs with their users and what waits for them, and the report of each machine. */
export function Gpus() {
  const gpus = useGet<GpuList>("/api/v1/gpus", 4000);
  const hosts = useGet<HostList>("/api/v1/hosts", 30_000);
  return (
    <>
      <Head title="GPUs and hosts" text="Devices with their users, and what each machine can serve with." />
      <div class="stack">
        <ErrorBanner error={gpus.error ?? hosts.error} />
        {gpus.data?.waiting.map((w) => (
          <Banner key={w.endpointId} tone={w.never ? "bad" : "warn"}>
            <a href={link(["endpoints", w.endpointId])}>{w.endpointId}</a>: {w.workers} workers wait since{" "}
            <Time at={w.since} />. {w.reason} {w.wouldFit}
          </Banner>
        ))}
        <Card title="GPUs" note={gpus.data ? `${gpus.data.gpus.length}, read from ${gpus.data.source}` : ""}>
          {!gpus.data ? <Loading /> : gpus.data.gpus.length === 0 ? (
            <Empty title="No GPU was found" command="nvidia-smi -L">
              {gpus.data.error ?? ""} Endpoints whose template has no gpu run on the CPU.
            </Empty>
          ) : <GpuTable gpus={gpus.data.gpus} />}
        </Card>
        {gpus.data && gpus.data.links.length > 0 ? (
          <Card title="Links" note="as nvidia-smi topo -m names them">
            <div class="card-body badges">
              {gpus.data.links.map((l) => (
                <span key={`${l.node}${l.a}-${l.b}`} class="badge plain">{l.node} {l.a} – {l.b}: {l.way}</span>
              ))}
            </div>
          </Card>
        ) : null}
        {!hosts.data ? <Loading /> : hosts.data.hosts.map((h) => (
          <Host key={h.id} id={h.id} at={h.examinedAt} doctor={h.doctor} />
        ))}
      </div>
    </>
  );
}

function GpuTable({ gpus }: { gpus: Gpu[] }) {
  return (
    <div class="scroll">
      <table class="table">
        <thead>
          <tr>
            <th>GPU</th><th>Node</th><th>Memory</th><th>Users</th><th class="wide">Capability</th>
            <th class="wide">Driver</th><th class="wide">UUID</th>
          </tr>
        </thead>
        <tbody>
          {gpus.map((g) => (
            <tr key={g.uuid}>
              <td>
                <span class="strong">{g.index}: {g.name}</span>{" "}
                {g.fault ? <State name="failed" text="fault" title={g.fault} /> : null}
              </td>
              <td>{g.node}</td>
              <td><Memory gpu={g} /></td>
              <td>
                {g.users.length === 0 && !g.mig ? <span class="faint">free</span> : null}
                {g.users.map((u) => (
                  <div key={u.worker}>
                    <a href={link(["endpoints", u.endpoint, "workers", u.worker])}>{u.worker}</a>
                    {u.shareMiB ? <span class="faint"> {bytes(u.shareMiB * 2 ** 20)}</span> : null}
                  </div>
                ))}
                {slicesOf(g).map((text) => <div key={text}>{text}</div>)}
              </td>
              <td class="wide">{g.computeCapability}</td>
              <td class="wide">{g.driver ?? "–"}</td>
              <td class="wide"><Id id={g.uuid} /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The slices of a GPU: those in use with their users, the free ones by profile. */
function slicesOf({ mig }: Gpu): string[] {
  const free = new Map<string, number>();
  const used: string[] = [];
  for (const m of mig ?? []) {
    const profile = show(m.profile);
    if (m.user) used.push(`${profile}: ${m.user.worker}`);
    else free.set(profile, (free.get(profile) ?? 0) + 1);
  }
  return [...used, ...[...free].map(([profile, n]) => `${n} × ${profile} free`)];
}

function Memory({ gpu: g }: { gpu: Gpu }) {
  if (g.mig) return <span class="faint">{bytes(g.memoryMiB * 2 ** 20)}, split by MIG</span>;
  const given = g.users.reduce((sum, u) => sum + (u.shareMiB ?? g.memoryMiB), 0);
  const part = (n: number) => `${Math.min(100, (100 * n) / g.memoryMiB)}%`;
  return (
    <div class="stack tight memory">
      <div class="meter" role="img" aria-label={`${given} of ${g.memoryMiB} MiB are given to workers`}>
        <span style={{ width: part(given) }} />
      </div>
      <span class="faint">{bytes(g.freeMiB * 2 ** 20)} free of {bytes(g.memoryMiB * 2 ** 20)}</span>
    </div>
  );
}

function Host({ id, at, doctor }: { id: string; at: string; doctor: Doctor }) {
  return (
    <Card title={<>Host {id}</>} note={<>examined <Time at={at} /></>} actions={
      <State name={doctor.served ? "ready" : "failed"}
        text={doctor.served ? `serves on ${doctor.serving}` : "cannot serve"} />
    }>
      <div class="card-body stack">
        {doctor.verdict ? <p>{doctor.verdict}</p> : null}
        {doctor.notes?.map((n) => <Banner key={n} tone="warn">{n}</Banner>)}
      </div>
      {doctor.layers ? (
        <div class="scroll">
          <table class="table">
            <thead><tr><th>Layer</th><th>Found</th><th>Needed</th></tr></thead>
            <tbody>
              {doctor.layers.map((l) => (
                <tr key={l.layer}>
                  <td class="strong">{l.layer}</td><td>{l.found}</td><td class="muted">{l.needed}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : <div class="card-body"><Json value={doctor} label="Report" /></div>}
    </Card>
  );
}

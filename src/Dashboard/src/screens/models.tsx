import { useState } from "preact/hooks";
import { call, path } from "../lib/api";
import { bytes } from "../lib/format";
import { useGet } from "../lib/live";
import { link } from "../lib/router";
import { useRights } from "../lib/session";
import { Confirm, say } from "../ui/dialog";
import { Card, Empty, ErrorBanner, Head, Id, Loading, State, Time } from "../ui/parts";

interface Version {
  version: string;
  state: string;
  source: string;
  bytes: number;
  files?: number;
  uploadedAt?: string;
  usedBy: string[];
}

interface Library {
  models: { name: string; versions: Version[] }[];
  node: { source: string | null; revision: string | null; bytes: number; inUse: boolean; usedAt: string }[];
}

const UPLOAD = `curl -s -X PUT $SLUICE/api/v1/models/sentiment/1 -H "Authorization: Bearer $SLUICE_KEY" \\
  --upload-file model.onnx`;

/** Uploaded models, and what the node of this gateway has downloaded. */
export function Models() {
  const { admin } = useRights();
  const { data, error, reload } = useGet<Library>("/api/v1/models", 5000);
  const [deleting, setDeleting] = useState<[string, string] | null>(null);
  const rows = (data?.models ?? []).flatMap((m) => m.versions.map((v) => [m.name, v] as const));
  return (
    <>
      <Head title="Models" text="Uploaded versions, which never change, and the downloads of this gateway's machine." />
      <div class="stack">
        <ErrorBanner error={error} />
        <Card title="Uploads">
          {!data ? <Loading /> : rows.length === 0 ? (
            <Empty title="Nothing is uploaded" command={UPLOAD}>
              An upload is a model.onnx or an archive of a model folder. An endpoint names it in model.source.
            </Empty>
          ) : (
            <div class="scroll">
              <table class="table">
                <thead>
                  <tr><th>Model</th><th>State</th><th class="num">Size</th><th>Used by</th><th class="wide">Source</th>
                    <th class="wide">Uploaded</th><th><span class="sr">Actions</span></th></tr>
                </thead>
                <tbody>
                  {rows.map(([name, v]) => (
                    <tr key={`${name}/${v.version}`}>
                      <td><span class="strong">{name}</span> {v.version}</td>
                      <td><State name={v.state} /></td>
                      <td class="num">{bytes(v.bytes)}</td>
                      <td>{v.usedBy.length === 0 ? <span class="faint">nothing</span> : v.usedBy.map((u) => (
                        <a key={u} href={link(["endpoints", u])}>{u} </a>))}</td>
                      <td class="wide"><Id id={v.source} /></td>
                      <td class="wide"><Time at={v.uploadedAt} /></td>
                      <td class="fit">{admin ? (
                        <button type="button" class="button small danger" disabled={v.usedBy.length > 0}
                          onClick={() => setDeleting([name, v.version])}>Delete</button>) : null}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </Card>
        <Card title="Downloads" note="of this gateway's machine">
          {!data ? <Loading /> : data.node.length === 0 ? (
            <Empty title="Nothing is downloaded">Endpoints with model.source download their model here.</Empty>
          ) : (
            <div class="scroll">
              <table class="table">
                <thead><tr><th>Source</th><th class="wide">Revision</th><th class="num">Size</th><th>State</th>
                  <th>Last use</th></tr></thead>
                <tbody>
                  {data.node.map((n) => (
                    <tr key={`${n.source}${n.revision}`}>
                      <td class="mono wrap">{n.source ?? "unknown"}</td>
                      <td class="wide mono">{n.revision ?? "–"}</td>
                      <td class="num">{bytes(n.bytes)}</td>
                      <td><State name={n.inUse ? "active" : "idle"} text={n.inUse ? "in use" : "kept"} /></td>
                      <td><Time at={n.usedAt} /></td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </Card>
      </div>
      {deleting ? (
        <Confirm title={`Delete ${deleting.join(" version ")}?`} action="Delete" onClose={() => setDeleting(null)}
          run={async () => {
            await call("DELETE", path`/api/v1/models/${deleting[0]}/${deleting[1]}`);
            say("The version is deleted.");
            await reload();
          }}>Its files are deleted. The version can be uploaded again.</Confirm>
      ) : null}
    </>
  );
}

import { useState } from "preact/hooks";
import { call, path } from "../lib/api";
import { diff } from "../lib/diff";
import { useGet } from "../lib/live";
import { useRights } from "../lib/session";
import type { Endpoint } from "../lib/types";
import { Confirm, say } from "../ui/dialog";
import { Card, Empty, ErrorBanner, Loading, Time } from "../ui/parts";
import { ChangeTable } from "./endpoint-settings";

interface Revision {
  id: string;
  at: string;
  by: string;
  declaration: Record<string, unknown>;
}

/** The last declarations of an endpoint, what each changed, and the way back to one. */
export function Revisions({ endpoint, reload }: { endpoint: Endpoint; reload: () => Promise<void> }) {
  const { admin } = useRights();
  const url = path`/api/v1/endpoints/${endpoint.id}`;
  const list = useGet<{ revisions: Revision[] }>(`${url}/revisions`, 10_000);
  const [chosen, setChosen] = useState<Revision | null>(null);
  if (!list.data) return list.error ? <ErrorBanner error={list.error} /> : <Loading />;
  const revisions = [...list.data.revisions].sort((a, b) => Number(b.id) - Number(a.id));
  const now = revisions[0];
  const fixed = endpoint.origin === "manifest";
  const rollBack = async (to: Revision) => {
    await call("POST", `${url}/rollback`, { revision: to.id });
    say(`${endpoint.id} is declared as it was.`);
    await Promise.all([reload(), list.reload()]);
  };
  return (
    <Card title="Revisions" note="the last 20 declarations">
      {revisions.length === 0 ? <Empty title="No declaration is recorded" /> : (
        <div class="scroll">
          <table class="table">
            <thead><tr><th>Declared</th><th>By</th><th>Changed fields</th><th /></tr></thead>
            <tbody>
              {revisions.map((r, i) => (
                <tr key={r.id}>
                  <td><Time at={r.at} /></td>
                  <td>{r.by || "–"}</td>
                  <td>{fieldsOf(r, revisions[i + 1])}</td>
                  <td class="num">
                    {i === 0 ? <span class="muted">current</span> : (
                      <button type="button" class="button small" disabled={!admin || fixed} onClick={() => setChosen(r)}
                        title={fixed ? "The manifest declares this endpoint" : undefined}>Roll back</button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {chosen && now ? (
        <Confirm title={`Roll back ${endpoint.id}`} action="Roll back" danger={false} onClose={() => setChosen(null)}
          run={() => rollBack(chosen)}>
          <ChangeTable changes={diff(now.declaration, chosen.declaration)} />
        </Confirm>
      ) : null}
    </Card>
  );
}

/** What a revision changed, as a list of fields. */
function fieldsOf(revision: Revision, before: Revision | undefined): string {
  if (!before) return "–";
  return diff(before.declaration, revision.declaration).map((c) => c.field).join(", ") || "none";
}

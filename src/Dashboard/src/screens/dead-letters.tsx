import { useState } from "preact/hooks";
import { call, path } from "../lib/api";
import { plural } from "../lib/format";
import { useParam } from "../lib/router";
import { useEndpointIds } from "../lib/session";
import { useJobs } from "../lib/use-jobs";
import { Confirm, say } from "../ui/dialog";
import { Bulk, JobTable } from "../ui/job-table";
import { Card, Empty, ErrorBanner, Head, Loading } from "../ui/parts";

/** Jobs without a remaining attempt: retried, replayed or deleted here. */
export function DeadLetters() {
  const ids = useEndpointIds();
  const [endpoint, setEndpoint] = useParam("endpoint");
  const of = endpoint ? [endpoint] : ids;
  const { rows, error, reload } = useJobs(of, "", 200, true);
  const [deleting, setDeleting] = useState(false);
  const [retrying, setRetrying] = useState(false);
  const hit = [...new Set((rows ?? []).map((r) => r.endpoint))];
  return (
    <>
      <Head title="Dead letters" text="Jobs without a remaining attempt. They are kept for at least a week." />
      <ErrorBanner error={error} />
      <Card filters={
        <>
          <select class="select" aria-label="Endpoint" value={endpoint}
            onChange={(e) => setEndpoint(e.currentTarget.value)}>
            <option value="">All endpoints</option>
            {ids.map((id) => <option key={id} value={id}>{id}</option>)}
          </select>
        </>
      } note={rows ? plural(rows.length, "job") : ""} actions={<>
        <button type="button" class="button small" disabled={!rows?.length} onClick={() => setRetrying(true)}>
          Retry all…
        </button>
        <button type="button" class="button small danger apart" disabled={!rows?.length}
          onClick={() => setDeleting(true)}>
          Delete all…
        </button>
      </>}>
        {rows === null && ids.length > 0 ? <Loading /> : !rows?.length ? (
          <Empty title="No dead letter" command={COMMAND}>
            A job whose attempts all lost their worker ends here, so that nothing is lost silently.
          </Empty>
        ) : <JobTable rows={rows} reload={reload} />}
      </Card>
      {retrying && rows ? (
        <Bulk action="retry" rows={rows} reload={reload} onClose={() => setRetrying(false)} />
      ) : null}
      {deleting && rows ? (
        <Confirm title={`Delete ${plural(rows.length, "dead letter")}?`} action="Delete"
          onClose={() => setDeleting(false)} run={async () => {
            for (const id of hit) await call("DELETE", path`/v2/${id}/dead-letters`);
            say("The dead letters are deleted.");
            await reload();
          }}>
          All dead letters of {hit.join(", ")} are deleted, with their inputs.
        </Confirm>
      ) : null}
    </>
  );
}

const COMMAND = 'curl -s $SLUICE/v2/story/dead-letters -H "Authorization: Bearer $SLUICE_KEY"';

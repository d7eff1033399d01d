import { useState } from "preact/hooks";
import { ApiError, get, path } from "../lib/api";
import { useGet } from "../lib/live";
import { link, navigate, useParam } from "../lib/router";
import { useEndpointIds, useRights } from "../lib/session";
import { kindOf, type Kind } from "../lib/tensors";
import type { Endpoint, Metadata } from "../lib/types";
import { Banner, Card, Empty, Head, Loading, Segments } from "../ui/parts";
import { Chat } from "./play-chat";
import { Embedding } from "./play-embedding";
import { ImagePlay, TensorPlay } from "./play-tensors";

const MODES: [Kind, string][] = [["chat", "Chat"], ["image", "Image"], ["embedding", "Embeddings"],
  ["tensors", "Tensors"]];

/** Requests to an endpoint, in the form that suits its model. */
export function Playground({ parts }: { parts: string[] }) {
  const ids = useEndpointIds();
  const chosen = parts[1] ?? "";
  if (!chosen) {
    return (
      <>
        <Head title="Playground" text="Send requests to an endpoint: chats, images, texts or tensors." />
        <Card title="Choose an endpoint">
          {ids.length === 0 ? <Empty title="No endpoint that this key may use" /> : (
            <div class="card-body row">
              {ids.map((id) => <a key={id} class="button" href={link(["playground", id])}>{id}</a>)}
            </div>
          )}
        </Card>
      </>
    );
  }
  return (
    <>
      <Head title="Playground">
        <label class="row">
          <span class="muted">Endpoint</span>
          <select class="select" value={chosen} onChange={(e) => navigate(link(["playground", e.currentTarget.value]))}>
            {[...new Set([chosen, ...ids])].map((id) => <option key={id} value={id}>{id}</option>)}
          </select>
        </label>
      </Head>
      <Modes key={chosen} endpoint={chosen} />
    </>
  );
}

function Modes({ endpoint }: { endpoint: string }) {
  const { read } = useRights();
  const state = useGet<Endpoint>(read ? path`/api/v1/endpoints/${endpoint}` : null, 4000);
  const [mode, setMode] = useParam("mode");
  const [asked, ask] = useState(false);
  const model = state.data?.servedModels[0] ?? endpoint;
  const ready = (state.data?.status.workers.ready ?? 0) > 0;
  const { metadata, error, loading } = useMetadata(ready || asked ? model : null);
  const kind = (mode as Kind) || (metadata ? kindOf(metadata) : "");
  if (read && !state.data) return state.error ? <Banner tone="bad">{state.error.message}</Banner> : <Loading />;
  return (
    <div class="stack">
      <div class="row">
        <Segments label="Kind of request" options={MODES} value={kind} onChange={setMode} />
        {loading ? <span class="muted" role="status">A worker starts and reads the model…</span> : null}
      </div>
      {error ? <Banner tone="bad">{error}</Banner> : null}
      {kind === "chat" ? <Chat model={model} /> : null}
      {kind === "embedding" ? <Embedding model={model} /> : null}
      {kind === "image" && metadata ? <ImagePlay model={model} metadata={metadata} /> : null}
      {kind === "tensors" && metadata ? <TensorPlay model={model} metadata={metadata} /> : null}
      {!metadata && !loading && kind !== "chat" && kind !== "embedding" ? (
        <Card>
          <Empty title={`No worker of ${endpoint} runs`}>
            The inputs of the model are read from a worker.{" "}
            <button type="button" class="button primary" onClick={() => ask(true)}>Start a worker</button>
          </Empty>
        </Card>
      ) : null}
    </div>
  );
}

const known = new Map<string, Metadata>();

/** The inputs and outputs of a model, read once. A model without a worker starts one. */
function useMetadata(model: string | null) {
  const [state, set] = useState<{ model: string; metadata?: Metadata; error?: string } | null>(null);
  const found = model ? known.get(model) : undefined;
  if (model && !found && state?.model !== model) {
    set({ model });
    get<Metadata>(path`/v2/models/${model}`).then((metadata) => {
      known.set(model, metadata);
      set({ model, metadata });
    }, (e: ApiError) => set({ model, error: e.message }));
  }
  const metadata = found ?? null;
  const error = state?.model === model ? state?.error ?? null : null;
  return { metadata, error, loading: model !== null && !metadata && !error };
}

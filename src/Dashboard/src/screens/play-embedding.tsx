import { useState } from "preact/hooks";
import { call } from "../lib/api";
import { cosine } from "../lib/tensors";
import { Banner, Card } from "../ui/parts";
import { Snippets } from "../ui/snippets";

const START = "A cat sits on the mat.\nA kitten rests on a rug.\nThe stock market fell today.";

interface Result {
  lines: string[];
  vectors: number[][];
}

/** Vectors of sentences, and how alike each two of them are. */
export function Embedding({ model }: { model: string }) {
  const [text, setText] = useState(START);
  const [result, setResult] = useState<Result | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const lines = text.split("\n").map((l) => l.trim()).filter(Boolean).slice(0, 12);
  const body = { model, input: lines };
  const submit = async () => {
    setBusy(true);
    setError(null);
    try {
      const { data } = await call<{ data: { embedding: number[] }[] }>("POST", "/v1/embeddings", body);
      setResult({ lines, vectors: data.map((d) => d.embedding) });
    } catch (e) {
      setError((e as Error).message);
    }
    setBusy(false);
  };
  return (
    <div class="cols side">
      <Card title="Sentences" note="one in each line, at most 12">
        <div class="card-body stack">
          <textarea rows={6} aria-label="Sentences" value={text} onInput={(e) => setText(e.currentTarget.value)} />
          <div class="row">
            <button type="button" class="button primary" disabled={busy || lines.length === 0} onClick={submit}>
              {busy ? "Waiting…" : "Compare"}
            </button>
          </div>
          {error ? <Banner tone="bad">{error}</Banner> : null}
          {result ? <Likeness {...result} /> : null}
        </div>
      </Card>
      <Snippets call={{ method: "POST", path: "/v1/embeddings", body }} />
    </div>
  );
}

function Likeness({ lines, vectors }: Result) {
  const pairs = lines.flatMap((a, i) => lines.slice(i + 1).map((b, k) => ({
    a, b, value: cosine(vectors[i]!, vectors[i + 1 + k]!),
  }))).sort((x, y) => y.value - x.value);
  return (
    <div class="stack tight">
      <h3>Likeness, {vectors[0]?.length} dimensions</h3>
      {pairs.length === 0 ? <p class="faint">Two sentences or more are compared.</p> : null}
      <div class="bars">
        {pairs.map((p) => [
          <span key={`${p.a}-${p.b}`} class="clip pair" title={`${p.a} — ${p.b}`}>{p.a} <b>·</b> {p.b}</span>,
          <div key="bar" class="bar"><span style={{ width: `${Math.max(0, 100 * p.value)}%` }} /></div>,
          <span key="value" class="num">{p.value.toFixed(3)}</span>,
        ])}
      </div>
    </div>
  );
}

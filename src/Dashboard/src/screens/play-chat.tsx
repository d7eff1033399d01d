import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, send } from "../lib/api";
import { ms, rate } from "../lib/format";
import { readEvents } from "../lib/sse";
import { Banner, Card } from "../ui/parts";
import { Snippets } from "../ui/snippets";

interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

interface Measured {
  firstMs: number | null;
  totalMs: number;
  tokens: number;
  prompt: number | null;
}

interface Chunk {
  choices?: { delta?: { content?: string | null } }[];
  usage?: { prompt_tokens: number; completion_tokens: number } | null;
  error?: { message?: string } | string;
}

const PATH = "/v1/chat/completions";

/** A conversation with a language model, as a stream. */
export function Chat({ model }: { model: string }) {
  const [messages, setMessages] = useState<Message[]>([]);
  const [text, setText] = useState("");
  const [options, setOptions] = useState({ system: "", temperature: "", max_tokens: "256" });
  const [error, setError] = useState<string | null>(null);
  const [measured, setMeasured] = useState<Measured | null>(null);
  const stop = useRef<AbortController | null>(null);
  const [busy, setBusy] = useState(false);
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => () => stop.current?.abort(), []);
  useEffect(() => {
    const box = end.current?.parentElement;
    if (box) box.scrollTop = box.scrollHeight;
  }, [messages]);
  const bodyOf = (all: Message[]) => ({
    model,
    messages: [...(options.system ? [{ role: "system", content: options.system }] : []), ...all],
    ...(options.temperature ? { temperature: Number(options.temperature) } : {}),
    ...(options.max_tokens ? { max_tokens: Number(options.max_tokens) } : {}),
    stream: true,
    stream_options: { include_usage: true },
  });
  const submit = async () => {
    const said = text.trim();
    if (!said || busy) return;
    const history: Message[] = [...messages, { role: "user", content: said }];
    setText("");
    setError(null);
    setMeasured(null);
    setBusy(true);
    setMessages([...history, { role: "assistant", content: "" }]);
    stop.current = new AbortController();
    try {
      await stream(bodyOf(history), stop.current.signal,
        (answer) => setMessages([...history, { role: "assistant", content: answer }]), setMeasured);
    } catch (e) {
      if (!stop.current.signal.aborted) setError(e instanceof ApiError ? e.message : String(e));
    }
    setBusy(false);
  };
  const shown: Message[] = messages.length > 0 ? messages.filter((m) => m.content)
    : [{ role: "user", content: "Hello" }];
  return (
    <div class="cols side">
      <Card title={model} note={measured ? describe(measured) : ""} actions={
        <button type="button" class="button small" disabled={busy || messages.length === 0}
          onClick={() => setMessages([])}>New conversation</button>
      }>
        <div class="chat" role="log" aria-label="Conversation" tabIndex={0}>
          {messages.length === 0 ? (
            <p class="faint">Say something. The first answer waits for a worker to start.</p>
          ) : null}
          {messages.map((m, i) => (
            <div key={i} class={`message ${m.role}`}>
              <div class="who">{m.role === "user" ? "You" : model}</div>
              <div class="said">{m.content}{busy && i === messages.length - 1 ? <span class="cursor" /> : null}</div>
            </div>
          ))}
          <div ref={end} />
        </div>
        {error ? <div class="card-body"><Banner tone="bad">{error}</Banner></div> : null}
        <form class="composer" onSubmit={(e) => {
          e.preventDefault();
          void submit();
        }}>
          <textarea rows={2} aria-label="Message" placeholder="Message (Enter sends, Shift-Enter is a new line)"
            value={text} onInput={(e) => setText(e.currentTarget.value)} onKeyDown={(e) => {
              if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
                e.preventDefault();
                void submit();
              }
            }} />
          {busy ? <button type="button" class="button" onClick={() => stop.current?.abort()}>Stop</button>
            : <button class="button primary" disabled={!text.trim()}>Send</button>}
        </form>
      </Card>
      <div class="stack">
        <Card title="Parameters">
          <div class="card-body stack">
            <label class="field"><span>System message</span>
              <textarea rows={3} value={options.system}
                onInput={(e) => setOptions({ ...options, system: e.currentTarget.value })} />
            </label>
            <label class="field"><span>Temperature</span>
              <input class="input" inputMode="decimal" placeholder="the model's own" value={options.temperature}
                onInput={(e) => setOptions({ ...options, temperature: e.currentTarget.value })} />
            </label>
            <label class="field"><span>Maximum tokens</span>
              <input class="input" inputMode="numeric" value={options.max_tokens}
                onInput={(e) => setOptions({ ...options, max_tokens: e.currentTarget.value })} />
            </label>
          </div>
        </Card>
        <Snippets call={{ method: "POST", path: PATH, body: bodyOf(shown), stream: true }} />
      </div>
    </div>
  );
}

function describe({ firstMs, totalMs, tokens, prompt }: Measured): string {
  const parts = [`first token after ${ms(firstMs)}`, `${tokens} tokens`];
  if (firstMs !== null && tokens > 1 && totalMs > firstMs) {
    parts.push(`${rate((1000 * (tokens - 1)) / (totalMs - firstMs))} tokens/s`);
  }
  if (prompt !== null) parts.push(`${prompt} in the prompt`);
  return parts.join(", ");
}

async function stream(body: object, signal: AbortSignal, onText: (text: string) => void,
  onEnd: (measured: Measured) => void): Promise<void> {
  const started = performance.now();
  const response = await send("POST", PATH, body, signal);
  let [text, tokens, firstMs] = ["", 0, null as number | null];
  let usage: Chunk["usage"] = null;
  const measure = () => onEnd({
    firstMs, totalMs: performance.now() - started, tokens: usage?.completion_tokens ?? tokens,
    prompt: usage?.prompt_tokens ?? null,
  });
  for await (const { data } of readEvents(response)) {
    if (data === "[DONE]") break;
    const chunk = JSON.parse(data) as Chunk;
    if (chunk.error) throw new ApiError(0, typeof chunk.error === "string" ? chunk.error : chunk.error.message ?? data);
    usage = chunk.usage ?? usage;
    const part = chunk.choices?.[0]?.delta?.content;
    if (!part) continue;
    firstMs ??= performance.now() - started;
    tokens++;
    text += part;
    onText(text);
  }
  measure();
}

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { call, path } from "../lib/api";
import { ms } from "../lib/format";
import { fromPixels, imageShape, softmax, template, type ImageShape } from "../lib/tensors";
import type { Metadata } from "../lib/types";
import { Banner, Card, Check, Json } from "../ui/parts";
import { Snippets } from "../ui/snippets";

interface Output {
  name: string;
  datatype: string;
  shape: number[];
  data: number[];
}

interface Answer {
  outputs: Output[];
  tookMs: number;
}

function useInfer(model: string) {
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const infer = async (body: unknown) => {
    setBusy(true);
    setError(null);
    const started = performance.now();
    try {
      const { outputs } = await call<{ outputs: Output[] }>("POST", path`/v2/models/${model}/infer`, body);
      setAnswer({ outputs, tookMs: performance.now() - started });
    } catch (e) {
      setError((e as Error).message);
    }
    setBusy(false);
  };
  return { answer, error, busy, infer };
}

/** An image that is drawn or read from a file, for models whose input is a picture. */
export function ImagePlay({ model, metadata }: { model: string; metadata: Metadata }) {
  const input = metadata.inputs.find((i) => imageShape(i)) ?? metadata.inputs[0]!;
  const shape = imageShape(input);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [invert, setInvert] = useState(false);
  const [body, setBody] = useState<unknown>({ inputs: [] });
  const { answer, error, busy, infer } = useInfer(model);
  if (!shape) return <Banner tone="warn">No input of this model is a picture. Use tensors.</Banner>;
  const submit = () => {
    const data = fromPixels(read(canvas.current!, shape), shape, input.datatype, invert);
    const size = shape.last ? [1, shape.height, shape.width, shape.channels]
      : [1, shape.channels, shape.height, shape.width];
    const next = { inputs: [{ name: input.name, datatype: input.datatype, shape: size, data }] };
    setBody(next);
    void infer(next);
  };
  const open = async (file: File | undefined) => {
    if (!file) return;
    const bitmap = await createImageBitmap(file);
    const c = canvas.current!;
    const scale = Math.min(c.width / bitmap.width, c.height / bitmap.height);
    const context = clear(c);
    context.drawImage(bitmap, (c.width - bitmap.width * scale) / 2, (c.height - bitmap.height * scale) / 2,
      bitmap.width * scale, bitmap.height * scale);
  };
  return (
    <div class="cols side">
      <Card title="Picture" note={`${input.name} ${input.datatype} [${input.shape.join(", ")}]`}>
        <div class="card-body play-image">
          <div class="stack tight">
            <Drawing canvas={canvas} shape={shape} />
            <span class="faint">Draw with the pointer, or open a file.</span>
          </div>
          <div class="stack">
            <label class="field"><span>File</span>
              <input class="input file" type="file" accept="image/*"
                onChange={(e) => open(e.currentTarget.files?.[0])} />
            </label>
            <Check label="Invert" note="for dark on light pictures" checked={invert} onChange={setInvert} />
            <div class="row">
              <button type="button" class="button primary" disabled={busy} onClick={submit}>
                {busy ? "Waiting…" : "Send"}
              </button>
              <button type="button" class="button" onClick={() => clear(canvas.current!)}>Clear</button>
            </div>
            {error ? <Banner tone="bad">{error}</Banner> : null}
            {answer ? <Outputs answer={answer} /> : null}
          </div>
        </div>
      </Card>
      <Snippets call={{ method: "POST", path: path`/v2/models/${model}/infer`, body }} />
    </div>
  );
}

function clear(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  return context;
}

/** The pixels of the drawing in the size of the tensor. */
function read(canvas: HTMLCanvasElement, { width, height }: ImageShape): Uint8ClampedArray {
  const small = document.createElement("canvas");
  [small.width, small.height] = [width, height];
  const context = small.getContext("2d")!;
  context.imageSmoothingQuality = "high";
  context.drawImage(canvas, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

function Drawing({ canvas, shape }: { canvas: { current: HTMLCanvasElement | null }; shape: ImageShape }) {
  const side = 252;
  const height = Math.round((side * shape.height) / shape.width);
  useEffect(() => void clear(canvas.current!), [height]);
  const draw = (e: PointerEvent) => {
    if (e.buttons !== 1) return;
    const c = canvas.current!;
    const box = c.getBoundingClientRect();
    const at = (x: number, y: number) =>
      [((x - box.left) * c.width) / box.width, ((y - box.top) * c.height) / box.height];
    const context = c.getContext("2d", { willReadFrequently: true })!;
    context.strokeStyle = "#fff";
    context.lineWidth = side / 11;
    context.lineCap = "round";
    const [x, y] = at(e.clientX, e.clientY) as [number, number];
    const [fromX, fromY] = at(e.clientX - e.movementX, e.clientY - e.movementY) as [number, number];
    context.beginPath();
    context.moveTo(e.type === "pointerdown" ? x : fromX, e.type === "pointerdown" ? y : fromY);
    context.lineTo(x, y);
    context.stroke();
  };
  return (
    <canvas class="draw" width={side} height={height} role="img" aria-label="Drawing" onPointerDown={draw}
      onPointerMove={draw} ref={canvas} />
  );
}

/** A request whose tensors are edited as JSON, with the inputs of the model as a start. */
export function TensorPlay({ model, metadata }: { model: string; metadata: Metadata }) {
  const start = useMemo(() => pretty(template(metadata)), [metadata]);
  const [text, setText] = useState(start);
  const [wrong, setWrong] = useState<string | null>(null);
  const { answer, error, busy, infer } = useInfer(model);
  const parsed = useMemo(() => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      return null;
    }
  }, [text]);
  const submit = () => {
    try {
      JSON.parse(text);
      setWrong(null);
      void infer(parsed);
    } catch (e) {
      setWrong(`The request is not JSON: ${(e as Error).message}`);
    }
  };
  return (
    <div class="cols side">
      <Card title="Request" actions={
        <button type="button" class="button small" onClick={() => setText(start)}>Start again</button>
      }>
        <div class="card-body stack">
          <textarea class="code" rows={14} spellcheck={false} aria-label="Request" value={text}
            onInput={(e) => setText(e.currentTarget.value)} />
          <div class="row">
            <button type="button" class="button primary" disabled={busy} onClick={submit}>
              {busy ? "Waiting…" : "Send"}
            </button>
          </div>
          {wrong ?? error ? <Banner tone="bad">{wrong ?? error}</Banner> : null}
          {answer ? <Outputs answer={answer} /> : null}
        </div>
      </Card>
      <div class="stack">
        <Card title="Inputs and outputs">
          <div class="scroll">
            <table class="table">
              <tbody>
                {(["inputs", "outputs"] as const).flatMap((way) => metadata[way].map((t) => (
                  <tr key={way + t.name}>
                    <td class="faint">{way === "inputs" ? "in" : "out"}</td><td class="mono wrap">{t.name}</td>
                    <td class="mono">{t.datatype} [{t.shape.join(", ")}]</td>
                  </tr>
                )))}
              </tbody>
            </table>
          </div>
        </Card>
        <Snippets call={{ method: "POST", path: path`/v2/models/${model}/infer`, body: parsed ?? {} }} />
      </div>
    </div>
  );
}

/** JSON whose lists of numbers are in one line. */
function pretty(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(/\[\s+([-\d.,\s]*?)\s+\]/g, (_, list: string) =>
    `[${list.replace(/\s+/g, " ")}]`);
}

function Outputs({ answer }: { answer: Answer }) {
  return (
    <div class="stack tight">
      <h3>Response after {ms(answer.tookMs)}</h3>
      {answer.outputs.map((o) => (
        isScores(o) ? <Scores key={o.name} output={o} />
          : <Json key={o.name} value={{ ...o, data: o.data.slice(0, 200) }} label={`Output ${o.name}`} />
      ))}
    </div>
  );
}

const isScores = (o: Output) => /^FP/.test(o.datatype) && o.shape.length === 2 && o.shape[0] === 1 && o.data.length > 1
  && o.data.length <= 2000 && o.data.every((v) => typeof v === "number");

/** The best classes of a model that scores classes, with their softmax. */
function Scores({ output }: { output: Output }) {
  const shares = softmax(output.data);
  const order = shares.map((share, i) => ({ share, i }));
  const best = [...order].sort((a, b) => b.share - a.share).slice(0, 10);
  const shown = order.length <= 10 ? order : best;
  return (
    <div class="bars" role="group" aria-label={`Scores in ${output.name}`}>
      {shown.map(({ share, i }) => {
        const top = i === best[0]!.i ? "best" : "";
        return [
          <span key={i} class={`num ${top}`}>{i}</span>,
          <div key={`${i}b`} class={`bar ${top}`}><span style={{ width: `${100 * share}%` }} /></div>,
          <span key={`${i}v`} class={`num ${top}`}>{(100 * share).toFixed(1)} %</span>,
        ];
      })}
    </div>
  );
}

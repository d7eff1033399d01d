/** The stages of a worker's start, one after the other on one time axis. */
import { ms } from "../lib/format";
import type { Stage } from "../lib/types";

/** `host` overlaps with other stages, and `total` is their sum. */
const sequence = (stages: Stage[]) => stages.filter((s) => s.name !== "host" && s.name !== "total" && s.ms > 0);

/** The longest start, in ms: the length of the axis. */
export const scaleOf = (all: Stage[][]) =>
  Math.max(0, ...all.map((stages) => sequence(stages).reduce((sum, s) => sum + s.ms, 0)));

const TONES: Record<string, number> = {
  queued: 0, placed: 0, download: 1, pull: 1, create: 1, start: 2, spawn: 2, process: 2, runtime: 2, ort: 3,
  provider: 3, model: 4, warmup: 5, warmUp: 5, firstAnswer: 0,
};

const toneOf = (name: string) => `stage-${TONES[name] ?? 3}`;

export function Waterfall({ stages, longest, compact }: { stages: Stage[]; longest: number; compact?: boolean }) {
  const shown = sequence(stages);
  if (shown.length === 0) return <span class="faint">–</span>;
  const text = shown.map((s) => `${s.name} ${ms(s.ms)}`).join(", ");
  return (
    <div class="waterfall">
      <div class="track" role="img" aria-label={`Stages of the start: ${text}`} title={text}>
        {shown.map((s) => (
          <span key={s.name} class={toneOf(s.name)} style={{ width: `${(100 * s.ms) / (longest || 1)}%` }} />
        ))}
      </div>
      {compact ? null : (
        <div class="stages">
          {shown.map((s) => <span key={s.name}><i class={toneOf(s.name)} />{s.name} <b>{ms(s.ms)}</b></span>)}
        </div>
      )}
    </div>
  );
}

/** A chart of a few lines over time. Charts of one screen share the position of the cursor. */
import uPlot from "uplot";
import { useEffect, useRef, useState } from "preact/hooks";
import { clock } from "../lib/format";
import { colour, useDark } from "../lib/theme";
import type { Points } from "../lib/types";

export interface Line {
  name: string;
  /** A colour by name: c1 to c5. */
  tone: string;
  values: Points;
  /** Filled to the axis. */
  area?: boolean;
  /** Steps instead of slopes, for counts. */
  stepped?: boolean;
  dashed?: boolean;
}

export interface Mark {
  at: number;
}

interface Props {
  title: string;
  times: number[];
  lines: Line[];
  /** Writes a value of the y axis and of the legend. */
  unit: (value: number | null | undefined) => string;
  marks?: Mark[];
  sync?: string;
  height?: number;
  /** Whether the values are counts: the axis then has whole numbers only. */
  whole?: boolean;
}

export function Chart({ title, times, lines, unit, marks = [], sync = "charts", height = 150, whole = false }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const drawn = useRef<Mark[]>(marks);
  drawn.current = marks;
  const [at, setAt] = useState<number | null>(null);
  const dark = useDark();
  const shape = lines.map((l) => l.name + l.tone).join();
  const isEmpty = times.length < 2 || lines.every((l) => l.values.every((v) => v === null || v === undefined));
  useEffect(() => {
    const element = box.current;
    if (!element || isEmpty) return;
    const options = chartOptions({ lines, unit, sync, height, whole, width: element.clientWidth, drawn, setAt });
    const own = new uPlot(options, dataOf(times, lines), element);
    chart.current = own;
    const resize = new ResizeObserver(() => own.setSize({ width: element.clientWidth, height }));
    resize.observe(element);
    return () => {
      resize.disconnect();
      own.destroy();
      chart.current = null;
    };
  }, [dark, shape, isEmpty, height, sync]);
  useEffect(() => {
    if (!isEmpty) chart.current?.setData(dataOf(times, lines));
  }, [times, lines, marks]);
  const index = at ?? times.length - 1;
  const time = at === null ? null : times[at];
  return (
    <figure class="card chart">
      <figcaption>
        <h3>{title}</h3>
        <span class="faint">{time ? clock(time * 1000) : ""}</span>
        <div class="legend">
          {lines.map((l) => (
            <span key={l.name}><i class={l.tone} />{l.name} <b>{unit(l.values[index])}</b></span>
          ))}
        </div>
      </figcaption>
      {isEmpty ? <div class="nothing">No data in this range yet</div>
        : <div class="plot" ref={box} role="img" aria-label={describe(title, lines, unit)} />}
    </figure>
  );
}

function dataOf(times: number[], lines: Line[]): uPlot.AlignedData {
  return [times, ...lines.map((l) => l.values)] as uPlot.AlignedData;
}

function describe(title: string, lines: Line[], unit: Props["unit"]): string {
  const last = lines.map((l) => `${l.name} ${unit(l.values.at(-1))}`).join(", ");
  return `${title} over time. Latest: ${last}`;
}

interface Making {
  lines: Line[];
  unit: Props["unit"];
  sync: string;
  width: number;
  height: number;
  whole: boolean;
  drawn: { current: Mark[] };
  setAt: (index: number | null) => void;
}

/** The distances of lines of a grid with whole numbers: 1, 2, 5, 10 and so on. */
const WHOLE = Array.from({ length: 30 }, (_, i) => [1, 2, 5][i % 3]! * 10 ** Math.floor(i / 3));

function chartOptions({ lines, unit, sync, width, height, whole, drawn, setAt }: Making): uPlot.Options {
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const axis = { stroke: colour("--text-3"), font, ticks: { show: false } };
  const grid = { stroke: colour("--line"), width: 1 };
  return {
    width,
    height,
    legend: { show: false },
    padding: [10, 12, 0, 0],
    cursor: { sync: { key: sync }, y: false, points: { size: 6 }, drag: { x: false, y: false } },
    scales: { y: { range: (_u, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
    axes: [
      { ...axis, grid: { show: false }, size: 26, space: 70, values: timeLabels },
      {
        ...axis, grid, size: 52, space: 34, gap: 4, ...(whole ? { incrs: WHOLE } : {}),
        values: (_u: uPlot, values: number[]) => values.map((v) => unit(v)),
      },
    ],
    series: [{}, ...lines.map((l) => seriesOptions(l))],
    hooks: {
      setCursor: [(u) => setAt(u.cursor.idx ?? null)],
      drawAxes: [(u) => drawMarks(u, drawn.current)],
    },
  };
}

function seriesOptions(line: Line): uPlot.Series {
  const stroke = colour(`--${line.tone}`);
  // A line that is mostly unknown, such as of cold starts, is shown as points.
  const isSparse = line.values.filter((v) => v !== null && v !== undefined).length < line.values.length / 2;
  const points = isSparse ? { show: true, size: 5, fill: stroke } : { show: false };
  const options: uPlot.Series = { label: line.name, stroke, width: 1.5, points, spanGaps: false };
  if (line.area) options.fill = `${stroke}22`;
  if (line.dashed) options.dash = [4, 3];
  if (line.stepped) options.paths = uPlot.paths.stepped!({ align: 1 });
  return options;
}

function timeLabels(_u: uPlot, splits: number[]): string[] {
  return splits.map((s) => clock(s * 1000).slice(0, 5));
}

function drawMarks(u: uPlot, marks: Mark[]): void {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.strokeStyle = colour("--c3");
  ctx.globalAlpha = 0.55;
  ctx.setLineDash([3, 3]);
  for (const mark of marks) {
    const x = Math.round(u.valToPos(mark.at, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

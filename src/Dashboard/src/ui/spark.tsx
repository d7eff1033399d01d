/** A line of a few values without axes. Missing values are gaps. */
import { sparkPaths } from "../lib/spark";
import type { Points } from "../lib/types";

export function Spark({ values, label, bad }: { values: Points; label: string; bad?: boolean }) {
  const { line, area } = sparkPaths(values, 96, 22);
  return (
    <svg class={`spark ${bad ? "bad" : ""}`} viewBox="0 0 96 22" preserveAspectRatio="none" role="img"
      aria-label={label}>
      <path class="area" d={area} />
      <path class="line" d={line} />
    </svg>
  );
}

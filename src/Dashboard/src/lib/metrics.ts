/** Reads the text of Prometheus. */

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

export function parse(text: string): Sample[] {
  const samples: Sample[] = [];
  for (const line of text.split("\n")) {
    const found = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!found) continue;
    const labels: Record<string, string> = {};
    for (const [, name, value] of (found[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[name!] = value!.replace(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c));
    }
    samples.push({ name: found[1]!, labels, value: found[3] === "+Inf" ? Infinity : Number(found[3]) });
  }
  return samples;
}

/** The single numbers of a worker: no buckets, and no labels that say which worker it is. */
export function ofWorker(samples: Sample[], worker: string): { name: string; labels: string; value: number }[] {
  return samples
    .filter((s) => s.labels.pod === worker && !s.name.endsWith("_bucket"))
    .map((s) => ({
      name: s.name,
      labels: Object.entries(s.labels).filter(([n]) => n !== "pod" && n !== "endpoint")
        .map(([n, v]) => `${n}=${v}`).join(" "),
      value: s.value,
    }));
}

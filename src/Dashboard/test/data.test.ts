import { describe, expect, it } from "vitest";
import { parseError, path } from "../src/lib/api";
import { diff, show, valueAt, withValue } from "../src/lib/diff";
import { applies, causeOf, merge, type Row } from "../src/lib/jobs";
import { bodyOf, formOf } from "../src/lib/key-form";
import { ofWorker, parse } from "../src/lib/metrics";
import { link, read } from "../src/lib/router";
import { search } from "../src/lib/search";
import { perSecond, pick } from "../src/lib/series";
import { shorten, sparkPaths } from "../src/lib/spark";
import { EventParser } from "../src/lib/sse";
import { statesOf, sumByGroup } from "../src/lib/usage";

describe("requests", () => {
  it("encodes the parts of a path", () => expect(path`/v2/${"a/b?"}/run`).toBe("/v2/a%2Fb%3F/run"));
  it("reads the three forms of errors", () => {
    const fields = [{ field: "scaling.max", value: "-1", expected: "0 or more" }];
    const problem = parseError(400, JSON.stringify({ detail: "scaling.max is -1", errors: fields }), "id");
    expect([problem.message, problem.errors, problem.requestId]).toEqual(["scaling.max is -1", fields, "id"]);
    expect(parseError(400, '{"error":{"message":"no model"}}', null).message).toBe("no model");
    expect(parseError(404, '{"error":"no path"}', null).message).toBe("no path");
    expect(parseError(502, "<html>", null).message).toBe("<html>");
  });
});

describe("events", () => {
  it("are the same however their text is cut", () => {
    const text = 'data: {"a":1}\n\n: comment\n\nevent: end\ndata: x\ndata: y\r\n\r\ndata: [DONE]\n\n';
    const whole = new EventParser().push(text);
    expect(whole).toEqual([
      { event: "message", data: '{"a":1}' }, { event: "end", data: "x\ny" }, { event: "message", data: "[DONE]" },
    ]);
    for (let cut = 1; cut < text.length; cut++) {
      const parser = new EventParser();
      expect([...parser.push(text.slice(0, cut)), ...parser.push(text.slice(cut))]).toEqual(whole);
    }
  });
});

describe("differences", () => {
  it("name the fields by path, and compare lists as a whole", () => {
    expect(diff({ a: 1, b: { c: [1], d: "x" } }, { a: 1, b: { c: [2], e: null } })).toEqual([
      { field: "b.c", before: [1], after: [2] }, { field: "b.d", before: "x", after: undefined },
      { field: "b.e", before: undefined, after: null },
    ]);
  });
  it("change one field of a copy", () => {
    const before = { scaling: { min: 0, max: 3 } };
    expect(withValue(before, "scaling.max", 5)).toEqual({ scaling: { min: 0, max: 5 } });
    expect(withValue(before, "scaling.max", undefined)).toEqual({ scaling: { min: 0 } });
    expect([before.scaling.max, valueAt(before, "scaling.min"), valueAt(before, "a.b")]).toEqual([3, 0, undefined]);
    expect([show(null), show("x"), show([1])]).toEqual(["–", "x", "[1]"]);
  });
});

describe("screens", () => {
  it("have their state in the URL", () => {
    const url = link(["jobs", "a/b", "x y"], { status: "FAILED", find: "", endpoint: null });
    expect(url).toBe("/ui/jobs/a%2Fb/x%20y?status=FAILED");
    const place = read(new URL(url, "http://localhost"));
    expect([place.parts, place.query.get("status")]).toEqual([["jobs", "a/b", "x y"], "FAILED"]);
    expect(read(new URL("http://localhost/ui/%E0%A4%A")).parts).toEqual(["%E0%A4%A"]);
  });
  it("are found by what is typed, the best match first", () => {
    const texts = ["story playground", "history", "story", "my-story", "stop or try"];
    expect(search(texts, "story", (t) => t, 10)).toEqual(["story", "story playground", "my-story", "history",
      "stop or try"]);
    expect(search(texts, "zz", (t) => t, 10)).toEqual([]);
  });
});

describe("jobs", () => {
  const row = (id: string, submittedAt: string) => ({ endpoint: "e", job: { id, timings: { submittedAt } } }) as Row;
  it("of several endpoints are one list, the newest first", () => {
    const rows = [row("a", "2026-01-01T00:00:00Z"), row("c", "2026-01-03T00:00:00Z"), row("b", "2026-01-02T00:00:00Z")];
    expect(merge(rows, 2).map((r) => r.job.id)).toEqual(["c", "b"]);
  });
  it("can be cancelled before their end, and retried after a failure", () => {
    expect(["IN_QUEUE", "IN_PROGRESS", "COMPLETED", "FAILED"].map((s) => applies("cancel", s)))
      .toEqual([true, true, false, false]);
    expect(["FAILED", "TIMED_OUT", "CANCELLED", "COMPLETED"].map((s) => applies("retry", s)))
      .toEqual([true, true, false, false]);
  });
});

describe("keys", () => {
  it("have lists, tags and limits as texts", () => {
    const form = { ...formOf(null), name: " ann ", invoke: "digits, story", tags: "team=vision, a=b=c",
      requestsPerMinute: "600" };
    expect(bodyOf(form, true)).toEqual({ body: {
      name: "ann", admin: false, read: false, metrics: false, invoke: ["digits", "story"], pods: [],
      tags: { team: "vision", a: "b=c" }, requestsPerMinute: 600, tokensPerMinute: 0, concurrent: 0, queued: 0,
      weight: 1, expiresAt: null,
    } });
    expect(bodyOf({ ...form, concurrent: "8x" }, true)).toEqual(
      { error: "concurrent is '8x'; expected a whole number" });
    expect(bodyOf({ ...form, tags: "team" }, true)).toEqual({ error: "tags has 'team'; expected name=value" });
  });
});

describe("metrics", () => {
  it("of a worker are its single numbers", () => {
    const text = '# HELP x y\na_total{endpoint="e",pod="w",result="o\\"k"} 3\na_bucket{pod="w",le="1"} 2\n'
      + 'a_total{pod="v"} 9\nb +Inf\n';
    expect(ofWorker(parse(text), "w")).toEqual([{ name: "a_total", labels: 'result=o"k', value: 3 }]);
    expect(parse(text).at(-1)).toEqual({ name: "b", labels: {}, value: Infinity });
  });
});

describe("series", () => {
  it("are rates, and gaps where nothing is known", () => {
    const series = { stepSeconds: 10, times: [0, 10], requests: [20, null] };
    expect([perSecond(series, "requests"), pick(series, "tokens"), pick(null, "x")])
      .toEqual([[2, null], [null, null], []]);
  });
  it("are drawn as lines with gaps, of a bounded number of points", () => {
    expect(sparkPaths([0, 1, null, 1], 30, 10)).toEqual({
      line: "M0 9L10 1M30 1", area: "M0 9L10 1L10 10L0 10ZM30 1L30 10L30 10Z",
    });
    expect(shorten([1, 3, null, null, 5, null], 3)).toEqual([2, null, 5]);
  });
});

describe("usage", () => {
  const line = (group: string | null, busy: number) => ({
    at: "2026-11-30T00:00:00Z", group, requests: 2, errors: 1,
    jobs: { completed: 1, failed: 1, cancelled: 0, timedOut: 1 },
    bytesIn: 0, bytesOut: 0, tokens: { prompt: 5, cached: 4, generated: 3, wasted: 1 }, coldStarts: 1,
    workerSeconds: { starting: 1, busy, idle: 2 }, cost: 0.5, unpricedSeconds: 3,
  });
  it("is summed over the steps of time, the most worker time first, and that of no group last", () => {
    expect(sumByGroup([line("a", 1), line(null, 100), line("b", 9), line("a", 2)])).toEqual([
      { group: "b", requests: 2, errors: 1, jobs: 3, failedJobs: 2, tokens: 8, coldStarts: 1, starting: 1, busy: 9,
        idle: 2, cost: 0.5, unpriced: 3 },
      { group: "a", requests: 4, errors: 2, jobs: 6, failedJobs: 4, tokens: 16, coldStarts: 2, starting: 2, busy: 3,
        idle: 4, cost: 1, unpriced: 6 },
      { group: null, requests: 2, errors: 1, jobs: 3, failedJobs: 2, tokens: 8, coldStarts: 1, starting: 1, busy: 100,
        idle: 2, cost: 0.5, unpriced: 3 },
    ]);
  });
  it("has the latest price of each type that has begun, whatever the case of its name", () => {
    const price = (gpu: string, from: string, perHour: number) => ({ gpu, from, perHour });
    const prices = [price("L4", "2026-01-01T00:00:00Z", 1), price("h100", "0001-01-01T00:00:00Z", 2),
      price("H100", "2026-11-01T00:00:00Z", 3), price("H100", "2027-01-01T00:00:00Z", 4),
      price("H100", "2026-11-01T00:00:00Z", 5)];
    const now = Date.parse("2026-11-30T00:00:00Z");
    expect(statesOf({ currency: "EUR", prices }, now).map((p) => [p.perHour, p.state])).toEqual([
      [4, "planned"], [5, "in force"], [3, "replaced"], [2, "replaced"], [1, "in force"],
    ]);
  });
});

describe("the cause of a failed job", () => {
  const attempts = [{ attempt: 1, worker: "w", startedAt: "", endedAt: "", reason: "its worker was killed" }];
  const cause = (code: string, lost = attempts) =>
    causeOf({ endpoint: "e", job: { error: "boom", errorInfo: { code }, attempts: lost } } as unknown as Row);
  it("is its own error although an attempt was lost before", () => expect(cause("HANDLER_ERROR")).toBe("boom"));
  it("is that of the last attempt if none is left", () =>
    expect(cause("ATTEMPTS_EXHAUSTED")).toBe("its worker was killed"));
  it("is its error if the attempts are not known", () => expect(cause("ATTEMPTS_EXHAUSTED", [])).toBe("boom"));
  it("is empty for a job without an error", () =>
    expect(causeOf({ endpoint: "e", job: { attempts } } as unknown as Row)).toBe(""));
});

import { describe, expect, it } from "vitest";
import { FIELDS, readField, seconds, sizeBytes, sizeText, textOf } from "../src/lib/settings";
import { snippet } from "../src/lib/snippets";
import { cosine, fromPixels, imageShape, kindOf, softmax, template } from "../src/lib/tensors";
import type { Metadata } from "../src/lib/types";

const model = (inputs: [string, string, number[]][], outputs = ["FP32"]): Metadata => ({
  name: "m", platform: "onnxruntime_onnx", inputs: inputs.map(([name, datatype, shape]) => ({ name, datatype, shape })),
  outputs: outputs.map((datatype, i) => ({ name: `out${i}`, datatype, shape: [-1, 10] })),
});

describe("models", () => {
  it("are used by what they read", () => {
    expect(kindOf(model([["input_ids", "INT64", [-1, -1]], ["past_key_values.0.key", "FP32", [-1, 2, -1, 32]]])))
      .toBe("chat");
    expect(kindOf(model([["input_ids", "INT64", [-1, -1]]]))).toBe("embedding");
    expect(kindOf(model([["image", "FP32", [-1, 1, 28, 28]]]))).toBe("image");
    expect(kindOf(model([["x", "FP32", [-1, 4]]]))).toBe("tensors");
  });
  it("read pictures with the channels first or last", () => {
    const of = (shape: number[]) => imageShape({ name: "x", datatype: "FP32", shape });
    expect(of([-1, 3, -1, -1])).toEqual({ channels: 3, height: 224, width: 224, last: false });
    expect(of([1, 32, 48, 3])).toEqual({ channels: 3, height: 32, width: 48, last: true });
    expect(of([1, 7, 8, 9])).toBeNull();
  });
  it("get pixels in the order and range of their tensor", () => {
    const rgba = [255, 0, 0, 255, 0, 0, 255, 255];
    const shape = { channels: 3 as const, height: 1, width: 2, last: false };
    expect(fromPixels(rgba, shape, "FP32", false)).toEqual([1, 0, 0, 0, 0, 1]);
    expect(fromPixels(rgba, { ...shape, last: true }, "UINT8", false)).toEqual([255, 0, 0, 0, 0, 255]);
    expect(fromPixels(rgba, { ...shape, channels: 1 }, "UINT8", true)).toEqual([179, 226]);
  });
  it("have a request to start with", () => {
    expect(template(model([["x", "FP32", [-1, 2]], ["t", "BYTES", [1]]]))).toEqual({ inputs: [
      { name: "x", datatype: "FP32", shape: [1, 2], data: [0, 0] },
      { name: "t", datatype: "BYTES", shape: [1], data: [""] },
    ] });
  });
  it("have scores that are read as shares", () => {
    expect(softmax([1000, 1000])).toEqual([0.5, 0.5]);
    expect(cosine([1, 0], [1, 1])).toBeCloseTo(Math.SQRT1_2);
  });
});

describe("programs", () => {
  const call = { method: "POST", path: "/v2/models/m/infer", body: { text: "it's \"é\"\n" } };
  it("have no key, and quote the body", () => {
    expect(snippet("curl", "http://h", call)).toBe(
      'curl -s http://h/v2/models/m/infer \\\n  -H "Authorization: Bearer $SLUICE_KEY" \\\n'
      + "  -H 'Content-Type: application/json' \\\n"
      + `  -d '{"text":"it'\\''s \\"é\\"\\n"}'`);
    expect(snippet("JavaScript", "http://h", call)).toContain('body: JSON.stringify({"text":"it\'s \\"é\\"\\n"})');
    expect(snippet("Python", "http://h", call)).toContain(
      'json.loads("{\\"text\\":\\"it\'s \\\\\\"é\\\\\\"\\\\n\\"}")');
  });
});

describe("settings", () => {
  const field = (path: string) => FIELDS.find((f) => f.path === path)!;
  it.each([["250ms", 0.25], ["1h30m", 5400], ["2d", 172_800], ["0s", 0], ["60", null], ["1x", null], ["", null]])(
    "reads the duration %s as %s s", (text, value) => expect(seconds(text)).toBe(value));
  it.each([["64MiB", 67_108_864], ["1.5KiB", 1536], ["10", 10], ["1 GiB", 2 ** 30], ["64MB", null]])(
    "reads the size %s as %s", (text, value) => expect(sizeBytes(text)).toBe(value));
  it("writes sizes with the largest unit that keeps them whole", () => {
    expect([sizeText(67_108_864), sizeText(1536), sizeText(1000)]).toEqual(["64MiB", "1536", "1000"]);
    expect(textOf(field("forwarding.maxBodyBytes"), 2 ** 20)).toBe("1MiB");
  });
  it("says what is wrong with a value", () => {
    expect(readField(field("scaling.max"), "five")).toEqual({ error: "expected a whole number" });
    expect(readField(field("scaling.max"), "-1")).toEqual({ error: "expected 0 or more" });
    expect(readField(field("scaling.targetPercentile"), "100")).toEqual({ error: "expected at most 99" });
    expect(readField(field("scaling.targetWait"), "2h")).toEqual({ error: "expected at most 3600 s" });
    expect(readField(field("scaling.scaler"), "X")).toHaveProperty("error");
    expect(readField(field("scaling.max"), " 5 ")).toEqual({ value: 5 });
    expect(readField(field("jobs.retryErrors"), "true")).toEqual({ value: true });
  });
});

import { describe, expect, it } from "vitest";
import { bytes, count, duration, ms, percent, plural, rate, relative } from "../src/lib/format";

describe("numbers", () => {
  it.each([[0, "0"], [950, "950"], [1234, "1.23k"], [34_000, "34k"], [5_600_000, "5.6M"], [null, "–"], [NaN, "–"]])(
    "writes %s as %s", (value, text) => expect(count(value)).toBe(text));
  it.each([[0, "0"], [0.001, "<0.01"], [0.123, "0.12"], [12.34, "12"], [1500, "1.5k"]])(
    "writes the rate %s as %s", (value, text) => expect(rate(value)).toBe(text));
  it.each([[1, 8, "12.5 %"], [0, 5, "0 %"], [1, 0, "0 %"], [1, 100_000, "<0.1 %"]])(
    "writes %s of %s as %s", (part, whole, text) => expect(percent(part, whole)).toBe(text));
  it.each([[512, "512 B"], [1536, "1.5 KiB"], [20 * 2 ** 20, "20 MiB"], [3 * 2 ** 40, "3 TiB"]])(
    "writes %s bytes as %s", (value, text) => expect(bytes(value)).toBe(text));
  it("writes one and many", () => expect([plural(1, "job"), plural(2, "job")]).toEqual(["1 job", "2 jobs"]));
});

describe("times", () => {
  it.each([
    [0, "0 ms"], [0.4, "0.4 ms"], [12.4, "12 ms"], [1240, "1.24 s"], [12_400, "12.4 s"], [185_000, "3 min 5 s"],
  ])("writes %s ms as %s", (value, text) => expect(ms(value)).toBe(text));
  it.each([[0, "0 s"], [59, "59 s"], [60, "1 min"], [7800, "2 h 10 min"], [90_000, "1 d 1 h"]])(
    "writes %s seconds as %s", (value, text) => expect(duration(value)).toBe(text));
  it.each([[0, "now"], [-12, "12 s ago"], [-60, "1 min ago"], [180, "in 3 min"], [-200_000, "2 d ago"]])(
    "writes a time that is %s s from now as %s", (seconds, text) => {
      const now = Date.parse("2026-11-30T09:00:00Z");
      expect(relative(new Date(now + 1000 * seconds).toISOString(), now)).toBe(text);
    });
});

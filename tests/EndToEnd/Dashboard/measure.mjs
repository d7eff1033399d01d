// Measures the dashboard of a running gateway: its compressed size, the time until its first load can be used, and the
// CPU time of the gateway and of its Redis with 0 and with 20 open dashboards. It prints tables for a file of results.
// Usage: SLUICE_URL=... SLUICE_ADMIN_KEY=... GATEWAY_PID=... node measure.mjs [SECONDS]
import { readdirSync, readFileSync } from "node:fs";
import { call, open, signIn, url } from "./gateway.mjs";

const seconds = Number(process.argv[2] ?? 60);
const gateway = Number(process.env.GATEWAY_PID);
const LOADS = 10;
const DASHBOARDS = 20;

/** The fields of /proc/PID/stat after the name, which may have spaces. */
const stat = (pid) => readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "").split(" ");
const cpuSeconds = (pid) => (Number(stat(pid)[11]) + Number(stat(pid)[12])) / 100;
const redis = process.env.REDIS_PID ?? readdirSync("/proc").filter((p) => /^\d+$/.test(p)).find((p) => {
  try {
    return readFileSync(`/proc/${p}/comm`, "utf8").startsWith("redis-server") && Number(stat(p)[1]) === gateway;
  } catch {
    return false;
  }
});
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const wait = (s) => new Promise((done) => setTimeout(done, 1000 * s));

/** Before the page: notes when the live numbers are shown, and when its thread was last busy for 50 ms. */
function observe() {
  window.seen = { shown: 0, busy: 0 };
  new MutationObserver((_, own) => {
    if (!document.querySelector(".tiles .value")) return;
    window.seen.shown = performance.now();
    own.disconnect();
  }).observe(document, { childList: true, subtree: true });
  new PerformanceObserver((list) => {
    for (const e of list.getEntries()) window.seen.busy = Math.max(window.seen.busy, e.startTime + e.duration);
  }).observe({ type: "longtask", buffered: true });
}

/** What the first load took. The page can be used when its numbers are shown and its thread is free. */
function read() {
  const paint = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0;
  const files = [performance.getEntriesByType("navigation")[0], ...performance.getEntriesByType("resource")]
    .filter((e) => /\/ui\//.test(e.name));
  return {
    paint, ready: Math.max(window.seen.shown, window.seen.busy),
    files: files.length, bytes: files.reduce((sum, e) => sum + e.encodedBodySize, 0),
    whole: files.reduce((sum, e) => sum + e.decodedBodySize, 0),
  };
}

/** A browser context that is signed in, and has nothing in its cache. */
async function signedIn(browser, state) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, storageState: state });
  return { context, page: await context.newPage() };
}

async function firstLoads(browser, state) {
  const loads = [];
  for (let i = 0; i < LOADS; i++) {
    const { context, page } = await signedIn(browser, state);
    await page.addInitScript(observe);
    await page.goto(`${url}/ui/`);
    await page.waitForFunction(() => window.seen.shown > 0);
    await wait(1);
    loads.push(await page.evaluate(read));
    await context.close();
  }
  return loads;
}

async function cpuOf() {
  const before = [cpuSeconds(gateway), cpuSeconds(redis)];
  const began = Date.now();
  await wait(seconds);
  const took = (Date.now() - began) / 1000;
  return [cpuSeconds(gateway) - before[0], cpuSeconds(redis) - before[1]].map((s) => (100 * s) / took);
}

const { browser, context, page } = await open();
await signIn(page);
const state = await context.storageState();
await context.close();

const loads = await firstLoads(browser, state);
const kb = (bytes) => (bytes / 1024).toFixed(1);
console.log("| files | compressed, KiB | as they are, KiB | first paint, ms: median | "
  + `can be used, ms: median, slowest of ${LOADS} |`);
console.log("|---|---|---|---|---|");
console.log(`| ${loads[0].files} | **${kb(loads[0].bytes)}** | ${kb(loads[0].whole)} | `
  + `${median(loads.map((l) => l.paint)).toFixed(0)} | **${median(loads.map((l) => l.ready)).toFixed(0)}**, `
  + `${Math.max(...loads.map((l) => l.ready)).toFixed(0)} |\n`);

const endpoints = (await call("GET", "/api/v1/endpoints")).endpoints.map((e) => e.id);
console.log("| open dashboards | gateway, % | Redis, % | both, % | requests/s of the dashboards |");
console.log("|---|---|---|---|---|");
for (const count of [0, DASHBOARDS]) {
  let requests = 0;
  const contexts = [];
  for (let i = 0; i < count; i++) {
    const own = await signedIn(browser, state);
    own.context.on("request", () => requests++);
    await own.page.goto(`${url}/ui/${i % 2 === 0 ? "" : `endpoints/${endpoints[i % endpoints.length]}`}`);
    await own.page.locator(i % 2 === 0 ? ".tiles .value" : ".chart").first().waitFor();
    contexts.push(own.context);
  }
  await wait(Math.min(15, seconds));
  requests = 0;
  const [ofGateway, ofRedis] = await cpuOf();
  const numbers = [ofGateway, ofRedis, ofGateway + ofRedis, requests / seconds].map((n) => n.toFixed(1));
  console.log(`| ${count} | ${numbers.join(" | ")} |`);
  await Promise.all(contexts.map((c) => c.close()));
}
await browser.close();

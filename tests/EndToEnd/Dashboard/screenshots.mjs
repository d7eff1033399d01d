// Makes the pictures of the dashboard in docs/images/dashboard: each screen, light and dark, on a desktop (1440) and on
// a phone (390). The gateway has the sample endpoints, the GPUs of an inventory, and some work before the pictures.
// Usage: SLUICE_URL=... SLUICE_ADMIN_KEY=... node screenshots.mjs [SCREEN...]
import { mkdirSync, readFileSync } from "node:fs";
import { call, declare, ended, open, run, signIn, until, url } from "./gateway.mjs";

const root = new URL("../../../", import.meta.url).pathname;
const out = `${root}docs/images/dashboard/`;
const only = process.argv.slice(2);
mkdirSync(out, { recursive: true });

await declare();
const image = JSON.parse(readFileSync(`${root}models/digits/example.json`, "utf8"));
const chat = { model: "story", max_tokens: 120, messages: [{ role: "user", content: "Write a story about a fox." }] };
for (const [name, more] of [
  ["ann", { invoke: ["digits", "story"], requestsPerMinute: 600, tags: { team: "vision" } }],
  ["nightly reports", { invoke: ["*"], tokensPerMinute: 100_000, concurrent: 8, tags: { team: "platform" } }],
  ["grafana", { read: true, metrics: true }],
]) await call("POST", "/api/v1/keys", { name, ...more });
await call("PUT", "/api/v1/prices", { currency: "EUR", prices: [
  { gpu: "cpu", from: "2026-01-01T00:00:00Z", perHour: 0.12 },
  { gpu: "H100", from: "2026-01-01T00:00:00Z", perHour: 2.9 },
  { gpu: "H100", from: "2026-10-01T00:00:00Z", perHour: 2.6 },
  { gpu: "H100", from: "2027-01-01T00:00:00Z", perHour: 2.4 },
  { gpu: "A100/1g.10gb", from: "2026-01-01T00:00:00Z", perHour: 0.35 },
] });
const work = async (rounds) => {
  for (let i = 0; i < rounds; i++) {
    await Promise.all([
      ...Array.from({ length: 1 + (i % 6) }, () => call("POST", "/v2/models/digits/infer", image)),
      call("POST", "/v1/chat/completions", chat),
      run("story", { text_input: "Once upon a time", parameters: { max_tokens: 40 } }),
      run("reports", { quarter: `Q${1 + (i % 4)}`, rows: 1800 + 7 * i, total: 99.5 }),
    ]);
  }
};
await work(12);
const failed = await run("reports", { fail: "The report of March has no rows" });
const dead = await run("reports", { die: true });
await ended("reports", failed);
const job = await ended("reports", dead);
await ended("reports", await run("reports", { quarter: "Q3" }, { webhook: "http://127.0.0.1:9/done" }));
await call("PUT", "/api/v1/endpoints/reports", { ...(await call("GET", "/api/v1/endpoints/reports")),
  scaling: { max: 3, idleTimeout: "10m" } });
const pod = await call("POST", "/api/v1/pods", { name: "notebook", template: "page" });
await until("the pod runs", async () => (await call("GET", `/api/v1/pods/${pod.id}`)).status === "RUNNING");
// Work continues while the pictures are made, so that they show it.
let isDone = false;
const more = (async () => {
  while (!isDone) {
    await work(3);
    await new Promise((resolve) => setTimeout(resolve, 700));
  }
})();
const worker = (await ended("reports", await run("reports", { say: "warning: the disk is 91 % full" }))).workerId;

/** Steps that a picture needs after its screen is open. */
const chatting = async (page) => {
  await page.getByLabel("Message", { exact: true }).fill("Write a story about a fox.");
  await page.keyboard.press("Enter");
  await page.getByText(/first token after/).waitFor();
};
const picture = async (page) => {
  await page.getByLabel("File", { exact: true }).setInputFiles(`${root}models/digits/samples/7-Lato.png`);
  await page.getByRole("button", { name: "Send" }).click();
  await page.locator(".bars .best").first().waitFor();
};
const screens = {
  overview: ["?minutes=15"], endpoints: ["endpoints"], endpoint: ["endpoints/story?minutes=15"], workers: ["endpoints/digits/workers"],
  decisions: ["endpoints/story/decisions"], settings: ["endpoints/reports/settings"], jobs: ["jobs"],
  job: [`jobs/reports/${job.id}`], worker: [`endpoints/reports/workers/${worker}`],
  chat: ["playground/story?mode=chat", chatting], picture: ["playground/digits?mode=image", picture],
  keys: ["keys"], usage: ["usage"], gpus: ["gpus"], pods: ["pods"], pod: [`pods/${pod.id}`], models: ["models"],
  webhooks: ["webhooks?endpoint=reports"], "dead-letters": ["dead-letters"], audit: ["audit"],
};

for (const [width, height] of [[1440, 900], [390, 844]]) {
  const { browser, page } = await open({ viewport: { width, height }, colorScheme: "light", reducedMotion: "reduce" });
  await page.goto(`${url}/ui/`);
  await page.getByLabel("API key").waitFor();
  await page.screenshot({ path: `${out}sign-in-${width}-light.png` });
  await signIn(page);
  for (const [name, [path, steps]] of Object.entries(screens)) {
    if (only.length > 0 && !only.includes(name)) continue;
    await page.goto(`${url}/ui/${path}`);
    await page.waitForLoadState("networkidle", { timeout: 3000 }).catch(() => null);
    await page.locator(".content :is(.card, .tiles, .log, .empty)").first().waitFor();
    if (steps) await steps(page);
    for (const theme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: theme });
      await page.locator(`html[data-theme=${theme}]`).waitFor();
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      await page.screenshot({ path: `${out}${name}-${width}-${theme}.png` });
    }
    await page.emulateMedia({ colorScheme: "light" });
    console.log(`${name} ${width}`);
  }
  await browser.close();
}
isDone = true;
await more;

// Uses the dashboard of a running gateway with a real browser, as a person does: each screen shows real data, and each
// action changes something in the gateway. It prints one line of JSON for each check, and {"done": true} at the end.
// SLUICE_URL and SLUICE_ADMIN_KEY name the gateway, whose manifest has the endpoints digits and story;
// SLUICE_GPU_INVENTORY is its inventory of GPUs, which a check replaces for a moment.
import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { ATTACK, ATTACKS, call, declare, ended, key, open, run, signIn, until, url } from "./gateway.mjs";

const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const samples = new URL("../../../models/digits/samples/", import.meta.url).pathname;
const ui = (path) => `${url}/ui/${path}`;
const started = Date.now();

async function check(name, action) {
  const from = Date.now();
  let detail = "";
  try {
    await action();
  } catch (e) {
    detail = String(e?.stack ?? e).slice(0, 2000);
  }
  console.log(JSON.stringify({ check: name, ok: detail === "", ms: Date.now() - from, detail }));
}

function holds(condition, text) {
  if (!condition) throw new Error(text);
}

/** The serious violations that axe finds; `rules` are all of the levels A and AA if none is named. */
async function violationsOf(page, rules) {
  const options = rules ? { runOnly: { type: "rule", values: rules } }
    : { runOnly: { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21aa"] } };
  return (await page.evaluate((o) => window.axe.run(document, o), options)).violations
    .filter((v) => ["serious", "critical"].includes(v.impact))
    .map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.any[0]?.message ?? ""}`).join("; ")}`);
}

/** Opens a screen, waits for a text that only its real data has, and judges it: light, dark, and on a phone. */
async function screen(page, path, text) {
  await page.goto(ui(path));
  const shown = page.getByText(text).filter({ visible: true }).first();
  await shown.waitFor();
  await page.evaluate(axe);
  const found = await violationsOf(page);
  await page.emulateMedia({ colorScheme: "dark" });
  await page.locator("html[data-theme=dark]").waitFor();
  found.push(...await violationsOf(page, ["color-contrast", "link-in-text-block"]));
  await page.emulateMedia({ colorScheme: "light" });
  holds(found.length === 0, `axe: ${found.join(" | ")}`);
  await page.setViewportSize({ width: 390, height: 844 });
  await shown.waitFor();
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  await page.setViewportSize({ width: 1440, height: 900 });
  holds(wider <= 0, `it is ${wider} pixels wider than a phone`);
  await harmless(page);
}

/** Fails if a text of the page has become a part of it: an element, a program, or a link to another address. */
async function harmless(page) {
  const parts = await page.evaluate(() => [...document.querySelectorAll("*")].filter((e) =>
    e.closest("body") && e.matches("img, iframe, object, embed, base, meta, form[action]")
    || e instanceof HTMLScriptElement && !e.src.startsWith(`${location.origin}/ui/assets/`)
    || e instanceof HTMLAnchorElement && e.hasAttribute("href") && e.origin !== location.origin
    || e.getAttributeNames().some((n) => n.startsWith("on"))).map((e) => e.outerHTML.slice(0, 200)));
  holds(parts.length === 0, `texts have become parts of the page: ${parts.join(" | ")}`);
  holds(!(await page.evaluate(() => window.attacked)), "a text was run as a program");
}

const { browser, context, page } = await open();
const violations = [];
context.on("console", (m) => /Content Security Policy/.test(m.text()) && violations.push(m.text()));
context.on("weberror", (e) => violations.push(String(e.error())));
context.on("request", (r) => new URL(r.url()).origin === url || violations.push(`a request to ${r.url()}`));
context.on("dialog", (d) => {
  violations.push(`a dialog: ${d.message()}`);
  void d.dismiss();
});

await declare();
const failed = await run("reports", { fail: ATTACKS, say: ATTACKS });
const shows = await run("reports", { html: ATTACKS });
const dead = await run("reports", { die: true }, { webhook: "http://127.0.0.1:9/done" });
const attacker = await call("POST", "/api/v1/keys", { name: ATTACK, invoke: ["digits"], tags: { team: "vision" } });
const pod = await call("POST", "/api/v1/pods", { name: ATTACK, template: "page", env: { SAY: ATTACKS } });
const { workerId: attacked } = await ended("reports", failed);
await ended("reports", shows);
await ended("reports", dead);
await fetch(`${url}/v2/models/digits`, { headers: { Authorization: `Bearer ${attacker.key}` } });

await check("a wrong key is refused, and the right one signs in", async () => {
  await page.goto(ui(""));
  await page.getByLabel("API key").fill("slk_wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("unknown, revoked or expired").waitFor();
  await signIn(page);
  await page.getByRole("link", { name: "digits", exact: true }).waitFor();
  if (await call("GET", "/api/v1/overview").catch(() => null)) {
    await page.getByText("live", { exact: true }).waitFor();
  }
  const stored = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie);
  holds(!stored.includes(key) && !stored.includes("session"), "a program of the page can read the key or the session");
});

await check("a chat streams its answer", async () => {
  await page.goto(ui("playground/story?mode=chat"));
  await page.getByLabel("Message", { exact: true }).fill("Write a story about a fox.");
  await page.keyboard.press("Enter");
  await page.getByText(/first token after/).waitFor();
  const said = await page.locator(".message.assistant .said").innerText();
  holds(said.length > 40, `the answer is '${said}'`);
  await page.getByRole("button", { name: "Python", exact: true }).click();
  await page.getByText("import json, os, urllib.request").waitFor();
});

await check("a picture is classified", async () => {
  await page.goto(ui("playground/digits"));
  const start = page.getByRole("button", { name: "Start a worker" });
  await start.or(page.getByLabel("File", { exact: true })).first().waitFor();
  if (await start.isVisible()) await start.click();
  await page.getByLabel("File", { exact: true }).setInputFiles(samples + process.env.SAMPLE);
  await page.getByRole("button", { name: "Send" }).click();
  const best = await page.locator(".bars .num.best").first().innerText();
  holds(best === process.env.DIGIT, `the best class is ${best}`);
});

await check("a job is replayed with another input", async () => {
  await page.goto(ui("jobs?endpoint=reports&status=FAILED"));
  await page.getByText("<img src=x").filter({ visible: true }).first().waitFor();
  await page.getByRole("link", { name: `${failed.slice(0, 4)}…${failed.slice(-8)}` }).click();
  await page.getByText("HANDLER_ERROR").waitFor();
  await page.getByRole("button", { name: "Replay…" }).click();
  await page.getByLabel("Input").last().fill('{"say": "again", "rows": 1820}');
  await page.getByRole("button", { name: "Submit the job" }).click();
  await page.getByText('"rows": 1820').first().waitFor();
  await page.getByText("completed").first().waitFor();
  holds(!page.url().includes(failed), "the new job has the id of the old one");
});

await check("a job is cancelled, and many are counted before they are", async () => {
  const waiting = await run("reports", { wait: 600 });
  await page.goto(ui(`jobs/reports/${waiting}`));
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await page.getByText("cancelled", { exact: true }).first().waitFor();
  holds((await ended("reports", waiting)).status === "CANCELLED", "the job is not cancelled");
  for (let i = 0; i < 3; i++) await run("broken", { i });
  await page.goto(ui("jobs?endpoint=broken"));
  await page.getByRole("button", { name: "Cancel waiting…" }).click();
  await page.getByRole("dialog").getByText("broken: 3 jobs").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel 3 jobs" }).click();
  await page.getByText("3 jobs cancelled.").waitFor();
});

await check("a wrong setting is refused with its field, a right one is shown and then made", async () => {
  await page.goto(ui("endpoints/reports/settings"));
  const max = page.getByLabel("Maximum workers");
  const review = page.getByRole("button", { name: "Review changes" });
  await max.fill("five");
  await page.getByText("scaling.max expected a whole number").waitFor();
  holds(await review.isDisabled(), "a wrong value can be reviewed");
  await max.fill("3");
  await page.getByLabel("Minimum workers").fill("9");
  await review.click();
  await page.getByText(/scaling\.m(in|ax) is .*; expected/).first().waitFor();
  await page.getByLabel("Minimum workers").fill("0");
  await review.click();
  const row = page.locator("table.diff tbody tr");
  await row.first().waitFor();
  holds((await row.allInnerTexts()).join().replace(/\s+/g, " ") === "scaling.max 2 3", await row.first().innerText());
  holds((await call("GET", "/api/v1/endpoints/reports")).scaling.max === 2, "the dry run changed the endpoint");
  await page.getByRole("button", { name: "Apply" }).click();
  await page.getByText("Nothing is changed.").waitFor();
  holds((await call("GET", "/api/v1/endpoints/reports")).scaling.max === 3, "the change was not made");
});

await check("a revision is shown with its changes and declared again", async () => {
  await page.goto(ui("endpoints/reports/revisions"));
  const rows = page.locator("table tbody tr");
  await rows.nth(1).waitFor();
  holds((await rows.first().innerText()).includes("scaling.max"), await rows.first().innerText());
  await rows.nth(1).getByRole("button", { name: "Roll back" }).click();
  const row = page.getByRole("dialog").locator("table.diff tbody tr");
  await row.first().waitFor();
  holds((await row.allInnerTexts()).join().replace(/\s+/g, " ") === "scaling.max 3 2", await row.first().innerText());
  holds((await call("GET", "/api/v1/endpoints/reports")).scaling.max === 3, "it was rolled back without a confirmation");
  await page.getByRole("dialog").getByRole("button", { name: "Roll back" }).click();
  await page.getByText("reports is declared as it was.").waitFor();
  holds((await call("GET", "/api/v1/endpoints/reports")).scaling.max === 2, "it was not rolled back");
});

await check("a page of another origin cannot show the dashboard in a frame", async () => {
  const server = createServer((_, response) => response.setHeader("Content-Type", "text/html").end("<iframe></iframe>"));
  await new Promise((listens) => server.listen(0, "127.0.0.1", listens));
  const other = await browser.newContext();
  const foreign = await other.newPage();
  const refused = foreign.waitForEvent("console", (m) => /frame-ancestors|X-Frame-Options/.test(m.text()));
  await foreign.goto(`http://127.0.0.1:${server.address().port}/`);
  await foreign.locator("iframe").evaluate((frame, page) => { frame.src = page; }, ui(""));
  await refused;
  server.close();
  await other.close();
});

await check("a log is followed and searched", async () => {
  const worker = (await ended("reports", await run("reports", { say: "the first line" }))).workerId;
  await page.goto(ui(`endpoints/reports/workers/${worker}`));
  await page.getByText("following").waitFor();
  await page.getByText("handler listens").waitFor();
  for (let i = 0; i < 3; i++) await ended("reports", await run("reports", { say: `live line ${i}` }));
  await page.getByText("says live line 2").waitFor();
  await page.getByLabel("Search the log").fill("live line 1");
  await page.locator(".log mark").first().waitFor();
  holds((await page.locator(".log .line").count()) === 1, "the search shows other lines");
  const [built] = (await call("GET", "/api/v1/endpoints/digits/workers")).workers;
  if (built?.state === "ready") {
    await page.goto(ui(`endpoints/digits/workers/${built.id}`));
    await page.getByRole("region", { name: "Metrics" }).locator("tbody tr").first().waitFor();
  }
});

await check("the search opens a screen with the keyboard", async () => {
  await page.goto(ui(""));
  await page.getByRole("button", { name: "Search", exact: true }).waitFor();
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Search" }).fill("reports pl");
  await page.getByRole("option", { name: /reports playground/ }).waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL("**/ui/playground/reports");
});

await check("a pod is created, opened to its log, and terminated", async () => {
  await page.goto(ui("pods"));
  await page.getByRole("button", { name: "Create a pod" }).click();
  await page.getByLabel("Name").fill("a page");
  await page.getByLabel("Template").selectOption("page");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByText("pod prints this").first().waitFor();
  await page.getByText("running", { exact: true }).first().waitFor();
  await page.getByRole("button", { name: "Open 8888" }).waitFor();
  await page.getByRole("button", { name: "Terminate" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Terminate" }).click();
  await page.getByText("terminated", { exact: true }).first().waitFor();
});

await check("a webhook is delivered once more", async () => {
  await page.goto(ui("webhooks?endpoint=reports"));
  const hooks = "/api/v1/endpoints/reports/webhooks";
  const { id } = (await call("GET", hooks)).deliveries[0];
  const tries = async () => (await call("GET", `${hooks}/${id}`)).log.length;
  const before = await tries();
  await page.getByRole("button", { name: "Deliver again" }).click();
  await page.getByText("The delivery is sent again.").waitFor();
  await until("another try", async () => (await tries()) > before);
});

if (await call("GET", "/api/v1/budgets").catch(() => null)) {
  await check("a budget is created, and deleted", async () => {
    await page.goto(ui("usage"));
    await page.getByRole("button", { name: "Create a budget" }).click();
    // The notes of other fields contain these words too.
    await page.getByLabel(/^Name/).fill("a small budget");
    await page.getByLabel(/^Limit/).fill("100000");
    await page.getByRole("dialog").getByRole("button", { name: "Create", exact: true }).click();
    const row = page.getByRole("row", { name: /a small budget/ });
    await row.getByText("100k requests a day").waitFor();
    await row.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText("The budget is deleted.").waitFor();
  });
}

await check("a key that only invokes sees its own screens", async () => {
  const { key: text } = await call("POST", "/api/v1/keys", { name: "ann", invoke: ["digits", "story"] });
  const other = await browser.newContext();
  const own = await other.newPage();
  await signIn(own, text);
  await own.getByText("without the scope read").waitFor();
  const names = await own.locator(".nav-link").allInnerTexts();
  holds(names.join() === "Overview,Jobs,Playground,Pods,Dead letters", names.join());
  await own.getByRole("link", { name: "playground", exact: true }).click();
  await own.getByRole("link", { name: "digits" }).click();
  await own.getByRole("button", { name: "Start a worker" }).click();
  await own.getByText("image FP32 [-1, 1, 28, 28]").waitFor();
  await own.goto(ui("keys"));
  await own.getByText(/403|scope|read/).first().waitFor();
  await other.close();
});

await check("texts that a client or a worker chooses are only shown", async () => {
  const evil = encodeURIComponent(ATTACK);
  // What the API refuses is shown with its error; what no rule refuses must be shown as text.
  for (const [path, body] of [["/v2/reports/run", { input: {}, webhook: "javascript:alert(1)" }],
    ["/api/v1/endpoints", { id: "x", template: "handler", models: [ATTACK] }], ["/api/v1/endpoints", { id: ATTACK }]]) {
    const refused = await call("POST", path, body).then(() => "", (e) => e.message);
    holds(refused.includes(" 400 "), `${path} with ${JSON.stringify(body)} got '${refused}'`);
  }
  await call("GET", "/api/v1/endpoints", undefined, ATTACK).catch(() => null);
  for (const path of [`endpoints/${evil}`, `playground/${evil}`, `jobs/reports/${evil}`, `pods/${evil}`, evil,
    `endpoints/reports/workers/${evil}`, `endpoints/reports/workers/${attacked}?log=${encodeURIComponent("<img")}`,
    `endpoints?find=${evil}`, `jobs?endpoint=reports&find=${evil}`, `keys?find=${evil}`, `webhooks?endpoint=${evil}`]) {
    await page.goto(ui(path));
    await page.waitForFunction(() => document.querySelector("#content")?.childElementCount > 0
      && (!document.querySelector("#content [aria-busy]") || document.querySelector("#content [role=alert]")))
      .catch((e) => holds(false, `${path}: ${e}`));
    await harmless(page);
  }
  await page.goto(ui("audit?target=/api/v1/keys"));
  await page.getByRole("button", { name: /created, .* fields/ }).last().click();
  await page.getByText("<img src=x").first().waitFor();
  await harmless(page);
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Search" }).fill("img src");
  await page.getByRole("option", { name: /<img src=x/ }).first().waitFor();
  await harmless(page);
});

await check("the names and the texts of a model are only shown", async () => {
  await page.goto(ui("playground/reports?mode=tensors"));
  await page.getByRole("cell", { name: /<img src=x/ }).first().waitFor();
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByLabel(/^Output <img src=x/).waitFor();
  await harmless(page);
  await page.goto(ui("playground/reports?mode=chat"));
  await page.getByLabel("Message", { exact: true }).fill(ATTACKS);
  await page.keyboard.press("Enter");
  await page.getByRole("alert").getByText("<img src=x").waitFor();
  await harmless(page);
  await page.goto(ui("playground/reports?mode=chat"));
  await page.getByLabel("Message", { exact: true }).fill("stream");
  await page.keyboard.press("Enter");
  await page.locator(".message.assistant .said").getByText(ATTACKS).waitFor();
  await harmless(page);
});

await check("the answer of a webhook's receiver is only shown", async () => {
  const receiver = createServer((request, response) => response.writeHead(500, ATTACKS).end(ATTACKS));
  await new Promise((resolve) => receiver.unref().listen(0, "127.0.0.1", resolve));
  const webhook = `http://127.0.0.1:${receiver.address().port}/${encodeURIComponent(ATTACK)}`;
  const job = await run("reports", {}, { webhook });
  await ended("reports", job);
  const hooks = "/api/v1/endpoints/reports/webhooks";
  const { id } = await until("a try of the webhook", async () => {
    const delivery = (await call("GET", hooks)).deliveries.find((d) => d.url === webhook);
    const log = delivery ? (await call("GET", `${hooks}/${delivery.id}`)).log : [];
    return log.some((n) => n.note.includes("500")) && delivery;
  });
  await page.goto(ui("webhooks?endpoint=reports"));
  await page.getByRole("button", { name: id.slice(-12), exact: true }).click();
  await page.getByText(/failed.*500/).first().waitFor();
  await harmless(page);
  receiver.close();
});

await check("the names of GPUs are only shown", async () => {
  const inventory = process.env.SLUICE_GPU_INVENTORY;
  const before = await readFile(inventory, "utf8");
  await writeFile(inventory, JSON.stringify(
    { gpus: [{ name: ATTACKS, count: 1, memoryMiB: 1000, computeCapability: "9.0" }] }));
  const shows = async (text) => JSON.stringify(await call("GET", "/api/v1/gpus")).includes(text);
  await until("the inventory", () => shows("outside.invalid"));
  await page.goto(ui("gpus"));
  await page.getByText("http://outside.invalid/x.png").first().waitFor();
  await harmless(page);
  await writeFile(inventory, before);
  await until("the inventory", () => shows("H100"));
});

const screens = [
  ["", "reports"], ["endpoints", "reports"], ["endpoints/reports", "Requests per second"],
  ["endpoints/reports/workers", /^reports-/], ["endpoints/reports/decisions", /starts 1/],
  ["endpoints/reports/settings", "Maximum workers"], ["endpoints/reports/revisions", "Roll back"],
  ["endpoints/broken", "<img src=x"],
  [`endpoints/reports/workers/${attacked}`, "<img src=x"], ["jobs", dead.slice(-8)],
  [`jobs/reports/${dead}`, "Attempt 1 on"], [`jobs/reports/${failed}`, "<img src=x"],
  [`jobs/reports/${shows}`, "javascript:alert(1)"],
  ["playground", "Choose an endpoint"], ["playground/story?mode=chat", "System message"],
  ["playground/digits?mode=tensors", "image"], ["models", "Nothing is uploaded"], ["pods", "<img src=x"],
  [`pods/${pod.id}`, "http://outside.invalid/x.png"],
  ["gpus", "ONNX Runtime"], ["keys", "<img src=x"], ["usage", "Requests"], ["usage?by=key", "<img src=x"],
  ["webhooks?endpoint=reports", "http://127.0.0.1:9/done"], ["dead-letters", dead.slice(-8)],
  ["audit", "/api/v1/endpoints/reports"], ["audit?list=refused", "127.0.0.1"],
];
// Three pages at a time: most of the time of one is a wait for responses.
const waiting = [...screens];
await Promise.all(Array.from({ length: 3 }, async () => {
  const own = await context.newPage();
  own.setDefaultTimeout(60_000);
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const [path, text] = next;
    await check(`screen '${path}'`, () => screen(own, path, text));
  }
  await own.close();
}));

await check("the menu of a phone opens a screen", async () => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByRole("link", { name: "Keys" }).click();
  await page.waitForURL("**/ui/keys");
  await page.setViewportSize({ width: 1440, height: 900 });
});

await check("an own key that is revoked ends the session", async () => {
  await page.goto(ui("keys"));
  await page.getByRole("button", { name: "Create a key" }).click();
  await page.getByLabel("Name").fill("short-lived");
  await page.getByLabel(/^admin/).check();
  await page.getByRole("button", { name: "Create", exact: true }).click();
  const made = await page.locator("[data-key]").innerText();
  await page.getByRole("button", { name: "Sign out" }).click();
  await signIn(page, made);
  await page.goto(ui("keys"));
  await page.getByRole("row", { name: /short-lived/ }).getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("dialog").getByText("You are signed in with this key").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await page.getByText("The session has ended").waitFor();
  await page.reload();
  await page.getByLabel("API key").waitFor();
});

await check("no program of another origin, and no text as a program", async () => {
  holds(violations.length === 0, violations.slice(0, 3).join(" | "));
});
await browser.close();
console.log(JSON.stringify({ done: true, seconds: (Date.now() - started) / 1000 }));

// Uses Jupyter Notebook and code-server in pods with a real browser: a cell is run, a terminal is typed into, the pod
// stops when it is idle and is started again with its files. Then it tries the attacks of a hostile page. It prints one
// line for each check, and ends with 1 if one failed.
import { spawn } from "node:child_process";
import { createServer, request as send } from "node:http";
import { mkdirSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { chromium } from "playwright-core";

const gateway = "http://localhost:8098";
const key = process.env.SLUICE_ADMIN_KEY;
const images = new URL("../../../docs/images/", import.meta.url).pathname;
const codeServer = process.env.CODE_SERVER;
mkdirSync(images, { recursive: true });

const mounts = [{ source: "/usr", target: "/usr" }, { source: "/etc", target: "/etc" }];
const container = { readOnly: false, user: "root", pids: 4096 };
const env = { PATH: "/usr/bin:/bin:/sbin", HOME: "/workspace", LANG: "C.UTF-8", SHELL: "/bin/bash" };
const templates = [{
  name: "jupyter", image: "machine:local", env, container: { ...container, mounts },
  command: ["/usr/bin/python3", "/usr/bin/jupyter-notebook"],
  args: ["--allow-root", "--no-browser", "--ip=0.0.0.0", "--port={port}", "--NotebookApp.base_url={path}",
    "--notebook-dir=/workspace", "--NotebookApp.allow_remote_access=True"],
  pod: { ports: ["8888/http"], volume: { path: "/workspace" }, application: "jupyter", keepPrefix: true,
    idleTimeout: "30s" },
}, ...(codeServer ? [{
  name: "code-server", image: "machine:local", env,
  container: { ...container, mounts: [...mounts, { source: codeServer, target: "/opt/code-server" }] },
  command: ["/opt/code-server/node", "/opt/code-server/node_modules/code-server/out/node/entry.js"],
  args: ["--bind-addr=0.0.0.0:{port}", "--auth=none", "--disable-telemetry", "--disable-update-check",
    "--disable-workspace-trust",
    "--user-data-dir=/workspace/.data", "/workspace"],
  pod: { ports: ["8080/http"], volume: { path: "/workspace" }, application: "code_server", idleTimeout: "10m" },
}] : [])];

let failed = 0;
const started = Date.now();
const check = (name, holds, detail = "") => {
  if (!holds) failed++;
  console.log(`${holds ? "ok    " : "FAILED"} ${((Date.now() - started) / 1000).toFixed(1)} s  ${name} ${detail}`);
};
const call = async (method, path, body, withKey = key) => {
  const response = await fetch(gateway + path, {
    method, headers: { Authorization: `Bearer ${withKey}` }, body: body && JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : null;
};
const until = async (what, holds, seconds = 90) => {
  for (const end = Date.now() + seconds * 1000; Date.now() < end;) {
    const value = await holds();
    if (value) return value;
    await new Promise(resolve => setTimeout(resolve, 250));
  }
  throw new Error(`${what} did not happen within ${seconds} s`);
};
const inStatus = (id, status) => until(`${id} ${status}`, async () => {
  const pod = await call("GET", `/api/v1/pods/${id}`);
  if (pod.status === "ERROR" && status !== "ERROR") throw new Error(`${id}: ${pod.reason}`);
  return pod.status === status && pod;
});

// Requests of a program: Node does not resolve subdomains of localhost, as browsers and curl do.
const ask = (id, port, path, headers) => new Promise((resolve, reject) => {
  const request = send({ host: "127.0.0.1", port: 8098, path, headers: { Host: `${id}-${port}.localhost:8098`, ...headers } },
    response => {
      let text = "";
      response.on("data", data => { text += data; });
      response.on("end", () => resolve({ status: response.statusCode, text }));
    });
  request.on("error", reject);
  request.end();
});

const process1 = spawn(process.argv[2], { stdio: ["ignore", "pipe", "inherit"] });
let log = "";
process1.stdout.on("data", data => { log += data; });
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});
try {
  await until("the gateway", async () => (await fetch(`${gateway}/healthz`).catch(() => null))?.ok);
  for (const template of templates) await call("PUT", `/api/v1/templates/${template.name}`, template);
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const id = await notebook(context);
  await attacks(context, id);
  await revokedKey();
  if (codeServer) await editor(await browser.newContext({ viewport: { width: 1280, height: 800 } }));
} catch (error) {
  check("the run", false, error.stack);
} finally {
  await browser.close();
  for (const pod of (await call("GET", "/api/v1/pods").catch(() => ({ pods: [] }))).pods)
    await call("DELETE", `/api/v1/pods/${pod.id}`);
  await until("all pods are deleted", async () => (log.match(/is Terminated/g) ?? []).length
    >= (log.match(/is Terminated/g) ?? []).length && (await call("GET", "/api/v1/pods")).pods.length === 0, 60);
  process1.kill("SIGTERM");
  await once(process1, "exit");
  if (failed) writeFileSync("/tmp/notebooks-gateway.log", log);
}
console.log(failed ? `${failed} checks failed` : "all checks passed");
process.exit(failed ? 1 : 0);

async function open(context, id, query = "") {
  const link = await call("POST", `/api/v1/pods/${id}/links${query}`);
  const page = await context.newPage();
  await page.goto(link.url);
  await page.waitForURL(url => !url.pathname.startsWith("/.sluice"));
  return { page, link };
}

async function notebook(context) {
  const pod = await call("POST", "/api/v1/pods", { name: "notebook", template: "jupyter" });
  await inStatus(pod.id, "RUNNING");
  const { page, link } = await open(context, pod.id);
  await page.waitForSelector("#new-dropdown-button");
  check("a link opens Jupyter", true, page.url());
  const again = await context.browser().newContext();
  const second = await again.newPage();
  await second.goto(link.url);
  await second.waitForFunction(() => document.getElementById("state")?.textContent.includes("used already"));
  check("the same link opens nothing again", true);
  await again.close();

  await page.click("#new-dropdown-button");
  const [cells] = await Promise.all([context.waitForEvent("page"), page.click("#kernel-python3 a")]);
  await cells.waitForSelector(".CodeMirror");
  await cells.waitForFunction(() => document.querySelector("#kernel_indicator_icon")?.className.includes("idle"));
  await cells.evaluate(() => {
    const cell = Jupyter.notebook.get_cell(0);
    cell.set_text("open('/workspace/kept.txt', 'w').write('kept')\nprint(6 * 7)");
  });
  await cells.keyboard.press("Escape");
  await cells.click(".CodeMirror");
  await cells.keyboard.press("Shift+Enter");
  await cells.waitForFunction(() => document.querySelector(".output_text pre")?.textContent.trim() === "42"
    || [...document.querySelectorAll(".output pre")].some(p => p.textContent.trim() === "42"));
  check("a cell is run", true, "6 * 7 = 42");
  await cells.evaluate(() => Jupyter.notebook.save_notebook());
  await cells.screenshot({ path: `${images}pod-jupyter-cell.png` });

  // The page of Debian's terminal fails by itself ("exports is not defined" in its own script), so the page types into
  // the terminal's WebSocket as that script would.
  const shown = await page.evaluate(async () => {
    const token = document.cookie.match(/_xsrf=([^;]*)/)?.[1] ?? "";
    const terminal = await (await fetch("/api/terminals", { method: "POST", headers: { "X-XSRFToken": token } })).json();
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(`${location.origin.replace("http", "ws")}/terminals/websocket/${terminal.name}`);
      let text = "";
      socket.onopen = () => socket.send(JSON.stringify(
        ["stdin", "echo $((40 + 2)) from a terminal | tee /workspace/terminal.txt\r"]));
      socket.onmessage = message => {
        const [kind, data] = JSON.parse(message.data);
        if (kind === "stdout") text += data;
        if (text.includes("42 from a terminal")) { socket.close(); resolve("42 from a terminal"); }
      };
      socket.onerror = () => reject(new Error("the WebSocket of the terminal failed"));
      setTimeout(() => reject(new Error(`the terminal wrote: ${text}`)), 20000);
    });
  });
  check("a terminal is typed into", true, shown);
  await cells.close();

  const idle = await inStatus(pod.id, "EXITED");
  check("an open tab does not keep it up: it is stopped when kernel and terminal are idle", /idle/.test(idle.reason),
    idle.reason);
  await page.reload();
  check("a stopped pod says how to start it", (await page.textContent("body")).includes("/start"));
  await call("POST", `/api/v1/pods/${pod.id}/start`);
  await inStatus(pod.id, "RUNNING");
  await page.goto(pod.ports[0].url + "tree");
  await page.waitForSelector("text=kept.txt");
  await page.waitForSelector("text=terminal.txt");
  check("after the start its files are there, and the cookie still opens it", true);
  await page.screenshot({ path: `${images}pod-jupyter-files.png` });
  return pod.id;
}

async function attacks(context, id) {
  const origin = `http://${id}-8888.localhost:8098`;
  const other = await call("POST", "/api/v1/pods", { name: "other", template: "jupyter" });
  await inStatus(other.id, "RUNNING");
  const kernels = async () =>
    JSON.parse((await ask(id, 8888, "/api/kernels", { Authorization: `Bearer ${key}` })).text).length;
  const before = await kernels();
  const hostile = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end("<title>hostile</title>");
  }).listen(8097);
  // Of another site, and of another pod, which is of the same site.
  for (const from of ["http://hostile.example:8097/", `http://${other.id}-8888.localhost:8098/`]) {
    const page = await context.newPage();
    if (from.includes("hostile")) await page.route("http://hostile.example:8097/**", route =>
      route.fulfill({ contentType: "text/html", body: "<title>hostile</title>" }));
    else await page.goto((await call("POST", `/api/v1/pods/${other.id}/links`)).url);
    await page.goto(from);
    await page.evaluate(async target => {
      await fetch(`${target}/api/kernels`, { method: "POST", credentials: "include", mode: "no-cors", body: "{}" })
        .catch(() => null);
      const form = document.createElement("form");
      form.action = `${target}/api/kernels`;
      form.method = "POST";
      form.target = "_blank";
      document.body.append(form);
      form.submit();
    }, origin);
    const socket = await page.evaluate(target => new Promise(resolve => {
      const s = new WebSocket(`${target.replace("http", "ws")}/terminals/websocket/1`);
      s.onopen = () => resolve("open");
      s.onerror = () => resolve("refused");
    }), origin);
    check("a WebSocket of another page is refused", socket === "refused", from);
    await page.waitForTimeout(500);
    await page.close();
  }
  check("no page of another origin creates a kernel", await kernels() === before, `${before} before and after`);
  const cookies = (await context.cookies(`http://${other.id}-8888.localhost:8098/`))
    .filter(c => c.name === "sluice-pod").map(c => `${c.name}=${c.value}`).join("; ");
  const foreign = await ask(id, 8888, "/tree", { Cookie: cookies });
  check("the cookie of another pod is refused", foreign.status === 401 && cookies.length > 0, `${foreign.status}`);
  const plain = await handshake(id, "/terminals/websocket/1", {});
  check("a WebSocket without a cookie is refused", plain === 401, `${plain}`);
  const closed = await ask(id, 9999, "/", { Authorization: `Bearer ${key}` });
  check("a port that was not opened is refused", closed.status === 404, JSON.parse(closed.text).detail);
  hostile.close();
}

async function handshake(id, path, headers) {
  return new Promise((resolve, reject) => {
    const r = send({
      host: "127.0.0.1", port: 8098, path, headers: {
        Host: `${id}-8888.localhost:8098`, Connection: "Upgrade", Upgrade: "websocket",
        "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", ...headers,
      },
    });
    r.on("upgrade", (response, socket) => resolve(Object.assign(socket, { status: response.statusCode })));
    r.on("response", response => resolve(response.statusCode));
    r.on("error", reject);
    r.end();
  });
}

async function revokedKey() {
  const pod = await call("POST", "/api/v1/pods", { name: "shared", template: "jupyter" });
  const made = await call("POST", "/api/v1/keys", { name: "guest", pods: [pod.id] });
  await inStatus(pod.id, "RUNNING");
  const guest = await browser.newContext();
  const link = await call("POST", `/api/v1/pods/${pod.id}/links`, undefined, made.key);
  const page = await guest.newPage();
  await page.goto(link.url);
  await page.waitForSelector("#new-dropdown-button");
  const closed = page.evaluate(async () => {
    const token = document.cookie.match(/_xsrf=([^;]*)/)?.[1] ?? "";
    const terminal = await (await fetch("/api/terminals", { method: "POST", headers: { "X-XSRFToken": token } })).json();
    return new Promise(resolve => {
      const s = new WebSocket(`${location.origin.replace("http", "ws")}/terminals/websocket/${terminal.name}`);
      s.onopen = () => { window.opened = true; };
      s.onclose = () => resolve(Date.now());
    });
  });
  await page.waitForFunction(() => window.opened);
  const at = Date.now();
  await call("DELETE", `/api/v1/keys/${made.record.id}`);
  const took = (await closed) - at;
  check("a revoked key with an open WebSocket is cut within 2 s", took <= 2000, `${took} ms`);
  const after = await page.reload();
  check("and its cookie opens nothing", after.status() === 401, `${after.status()}`);
  await guest.close();
}

async function editor(context) {
  const pod = await call("POST", "/api/v1/pods", { name: "editor", template: "code-server" });
  await inStatus(pod.id, "RUNNING");
  const { page } = await open(context, pod.id);
  await page.waitForSelector(".monaco-workbench", { timeout: 60000 });
  check("a link opens code-server", true, page.url());
  await page.keyboard.press("Control+Backquote");
  await page.waitForSelector(".terminal .xterm-screen", { timeout: 60000 });
  await page.waitForTimeout(1000);
  await page.locator(".terminal .xterm-screen").last().click();
  await page.keyboard.type("echo written by an editor > /workspace/editor.txt; cat /workspace/editor.txt\n");
  await until("the file exists", async () => await page.locator("text=editor.txt").count() > 0, 30);
  check("the terminal of code-server is typed into", true);
  await page.screenshot({ path: `${images}pod-code-server.png` });
  await call("POST", `/api/v1/pods/${pod.id}/stop`);
  await inStatus(pod.id, "EXITED");
  await call("POST", `/api/v1/pods/${pod.id}/start`);
  await inStatus(pod.id, "RUNNING");
  await page.goto(pod.ports[0].url);
  await page.waitForSelector(".monaco-workbench", { timeout: 60000 });
  await until("the file is listed", async () => await page.locator(".explorer-viewlet >> text=editor.txt").count() > 0, 60);
  check("after stop and start the file of code-server is there", true);
}

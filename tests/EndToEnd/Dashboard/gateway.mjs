// What the tests and the screenshots share: calls of the gateway, the data that the screens show, and the browser.
import { chromium } from "playwright-core";

export const url = process.env.SLUICE_URL;
export const key = process.env.SLUICE_ADMIN_KEY;

/** Calls the API with the admin key, and returns the body. */
export async function call(method, path, body, withKey = key) {
  const response = await fetch(url + path, {
    method,
    headers: { Authorization: `Bearer ${withKey}` },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

/** Waits until a value is found. It asks again at short intervals, up to a generous limit. */
export async function until(what, find) {
  for (const end = Date.now() + 120_000; Date.now() < end;) {
    const value = await find();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what} did not happen within 120 s`);
}

export const ended = (endpoint, id) => call("GET", `/v2/${endpoint}/status-sync/${id}?wait=120000`);

export const run = async (endpoint, input, more = {}) =>
  (await call("POST", `/v2/${endpoint}/run`, { input, ...more })).id;

/** Texts that would run a program, if a screen rendered them as HTML. */
export const ATTACK = '<img src=x onerror="attacked=1"><script>attacked=1</script>';

/** The same with a link to a program, and a picture of another address. */
export const ATTACKS = `${ATTACK} <a href="javascript:alert(1)">javascript:alert(1)</a>`
  + '<img src="http://outside.invalid/x.png" onerror="alert(1)">';

/**
 * A handler in Python that fails, prints, dies or returns what its input says. As a model, its tensors and its texts
 * are attacks.
 */
export const HANDLER = `
import json, os, sys
ATTACKS = ${JSON.stringify(ATTACKS)}
TENSOR = {"name": ATTACKS, "datatype": "BYTES", "shape": [1]}
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/v2/models/"):
            return self.answer(200, {"name": ATTACKS, "platform": ATTACKS, "inputs": [TENSOR], "outputs": [TENSOR]})
        self.answer(200, {"page": "ready"})
    def do_POST(self):
        if self.path.startswith("/v2/models/"):
            return self.answer(200, {"model_name": ATTACKS, "outputs": [{**TENSOR, "data": [ATTACKS]}]})
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.startswith("/v1/"):
            if "stream" not in json.dumps(job["messages"]): return self.answer(400, {"error": {"message": ATTACKS}})
            return self.stream(ATTACKS)
        given = job["input"] if isinstance(job["input"], dict) else {}
        print("job", job["id"], "says", given.get("say", "nothing"), flush=True)
        if given.get("die"): os._exit(3)
        if given.get("wait"): threading.Event().wait(given["wait"])
        self.answer(200, {"error": given["fail"]} if "fail" in given else {"output": given})
    def stream(self, text):
        # In parts of 7 characters: a tag is split between events.
        parts = [text[i:i + 7] for i in range(0, len(text), 7)]
        events = [{"choices": [{"index": 0, "delta": {"content": part}, "finish_reason": None}]} for part in parts]
        events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": ATTACKS}]})
        text = "".join("data: " + json.dumps({"id": ATTACKS, "model": ATTACKS, "created": 1,
            "object": "chat.completion.chunk", **event}) + "\\n\\n" for event in events) + "data: [DONE]\\n\\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *args):
        pass
import threading
print("handler listens", flush=True)
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
`;

/** A program of a pod: a page on its port, and lines in its log. */
const PAGE = `
import os
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
print("pod prints this", flush=True)
print(os.environ.get("SAY", ""), flush=True)
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), SimpleHTTPRequestHandler).serve_forever()
`;

/** Declares an endpoint of the API with the handler, one that cannot start, and a template for pods. */
export async function declare() {
  const python = { protocol: "http1", readyPath: "/", command: ["/usr/bin/python3", "-c", HANDLER] };
  await call("PUT", "/api/v1/templates/handler", { name: "handler", concurrency: 4, stopGrace: "1s", ...python });
  await call("PUT", "/api/v1/templates/broken", { name: "broken",
    command: ["/bin/sh", "-c", `echo '${ATTACKS}' >&2; exit 1`] });
  await call("PUT", "/api/v1/templates/page", { name: "page", stopGrace: "1s",
    command: ["/usr/bin/python3", "-u", "-c", PAGE], pod: { ports: ["8888/http"], idleTimeout: "30m" } });
  await call("PUT", "/api/v1/endpoints/reports", { id: "reports", template: "handler",
    scaling: { max: 2, idleTimeout: "10m" }, jobs: { maxRuns: 2 } });
  await call("PUT", "/api/v1/endpoints/broken", { id: "broken", template: "broken" });
}

/** Opens a browser with one page. */
export async function open(options = {}) {
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(Number(process.env.PATIENCE_MS ?? 40_000));
  return { browser, context, page };
}

export async function signIn(page, withKey = key) {
  await page.goto(`${url}/ui/`);
  await page.getByLabel("API key").fill(withKey);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("#content").waitFor();
}

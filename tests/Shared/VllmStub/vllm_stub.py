"""A worker with the API of `vllm serve`: its paths, response fields, stream order and error forms, as in
vllm/entrypoints/openai at 5e91864. Its answers are computed from the request, without a model. Like vLLM, it speaks
only HTTP/1.1. Usage: vllm_stub.py --port PORT --served-model-name NAME [--max-model-len TOKENS] [--task embed]

The last message says what a chat does: "FAIL" fails after the second piece, "LONG" is a long answer.
"""
import argparse
import base64
import http.server
import json
import struct
import time
import uuid

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--served-model-name", required=True)
parser.add_argument("--max-model-len", type=int, default=2048)
parser.add_argument("--task", default="generate")
options = parser.parse_args()


class ApiError(Exception):
    def __init__(self, status, kind, message, param=None):
        super().__init__(message)
        self.status, self.body = status, {
            "error": {"message": message, "type": kind, "param": param, "code": status}}


def bad(message, param=None):
    return ApiError(400, "BadRequestError", message, param)


def sample(schema):
    """A value of a JSON schema."""
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object":
        return {name: sample(schema["properties"][name]) for name in schema.get("required", [])}
    if schema.get("type") == "array":
        return [sample(schema["items"])] * schema.get("minItems", 0)
    return {"integer": schema.get("minimum", 0), "number": 0.5, "boolean": True, "string": "a"}[schema["type"]]


def text_of(message):
    content = message.get("content")
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part["type"] == "text")
    return content or ""


def check(body, served):
    """The checks of vLLM's request models that clients can reach."""
    if body.get("model") != served:
        raise ApiError(404, "NotFoundError", f"The model `{body.get('model')}` does not exist.", "model")
    top_p = body.get("top_p")
    if top_p is not None and not 0 < top_p <= 1:
        raise bad(f"top_p must be in (0, 1], got {top_p}.", "top_p")
    if body.get("stream_options") is not None and not body.get("stream"):
        raise bad("Stream options can only be defined when `stream=True`.", "stream_options")


def limit_of(body, prompt):
    """The number of tokens that may be generated. `null` means that a field is not set."""
    limits = [body.get(name) for name in ("max_completion_tokens", "max_tokens")]
    limit = min([value for value in limits if value is not None], default=options.max_model_len - prompt)
    if prompt + limit > options.max_model_len:
        raise bad(f"This model's maximum context length is {options.max_model_len} tokens. However, you requested "
                  f"{prompt + limit} tokens.")
    return limit


def usage(prompt, generated):
    return {"prompt_tokens": prompt, "total_tokens": prompt + generated, "completion_tokens": generated,
            "prompt_tokens_details": None}


def cut(pieces, limit):
    return (pieces[:limit], "length") if len(pieces) > limit else (pieces, "stop")


def call_of(body):
    """The tool that the answer calls, with the reason of its end, or None."""
    choice, tools = body.get("tool_choice"), body.get("tools") or []
    if not tools or choice == "none":
        return None
    if isinstance(choice, dict):
        tools, reason = [t for t in tools if t["function"]["name"] == choice["function"]["name"]], "stop"
    else:
        reason = "tool_calls"
        if choice != "required" and body["messages"][-1]["role"] == "tool":
            return None
    function = tools[0]["function"]
    return function["name"], json.dumps(sample(function["parameters"])), reason


def answer_of(body):
    last = text_of(body["messages"][-1])
    form = body.get("response_format") or {}
    if form.get("type") == "json_schema":
        text = json.dumps(sample(form["json_schema"]["schema"]))
        return [text[i:i + 3] for i in range(0, len(text), 3)]
    words = last.split() * (100 if last == "LONG" else 1)
    return ["You", " said:"] + [" " + word for word in words]


class Chat:
    """An answer of /v1/chat/completions."""

    def __init__(self, body):
        if not body.get("messages"):
            raise bad("List should have at least 1 item", "messages")
        self.prompt = sum(len(text_of(m).split()) + 3 for m in body["messages"])
        limit = limit_of(body, self.prompt)
        self.call, self.body = call_of(body), body
        self.pieces, self.reason = cut(answer_of(body), limit)
        if self.call:
            arguments, self.reason = self.call[1], self.call[2]
            self.pieces = [arguments[i:i + 4] for i in range(0, len(arguments), 4)]
        self.head = {"id": "chatcmpl-" + uuid.uuid4().hex, "created": int(time.time()), "model": body["model"]}
        self.call_id = "chatcmpl-tool-" + uuid.uuid4().hex

    def whole(self):
        content, calls = "".join(self.pieces), []
        if self.call:
            calls = [{"id": self.call_id, "type": "function",
                      "function": {"name": self.call[0], "arguments": content}}]
            content = None
        message = {"role": "assistant", "content": content, "refusal": None, "annotations": None, "audio": None,
                   "function_call": None, "tool_calls": calls, "reasoning": None, "reasoning_content": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.reason,
                  "stop_reason": None, "token_ids": None}
        return {**self.head, "object": "chat.completion", "choices": [choice], "service_tier": None,
                "system_fingerprint": None, "usage": usage(self.prompt, len(self.pieces)),
                "prompt_logprobs": None, "prompt_token_ids": None, "kv_transfer_params": None}

    def deltas(self):
        yield {"role": "assistant", "content": ""}
        if self.call:
            yield {"tool_calls": [{"id": self.call_id, "type": "function", "index": 0,
                                   "function": {"name": self.call[0], "arguments": ""}}]}
        for index, piece in enumerate(self.pieces):
            if index == 2 and text_of(self.body["messages"][-1]).startswith("FAIL"):
                raise ApiError(500, "InternalServerError", "EngineCore encountered an issue.")
            yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} if self.call else {"content": piece}

    def events(self):
        head = {**self.head, "object": "chat.completion.chunk"}
        for delta in self.deltas():
            yield {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None,
                                        "token_ids": None}]}
        yield {**head, "choices": [{"index": 0, "delta": {"content": ""}, "logprobs": None,
                                    "finish_reason": self.reason, "stop_reason": None, "token_ids": None}]}
        if (self.body.get("stream_options") or {}).get("include_usage"):
            yield {**head, "choices": [], "usage": usage(self.prompt, len(self.pieces))}


class Completion:
    """An answer of /v1/completions."""

    def __init__(self, body):
        text = body.get("prompt") or ""
        words = text.split() if isinstance(text, str) else text
        limit = body.get("max_tokens")
        self.prompt, self.body = len(words), body
        self.pieces, self.reason = cut([f" {word}" for word in words], 16 if limit is None else limit)
        self.head = {"id": "cmpl-" + uuid.uuid4().hex, "object": "text_completion", "created": int(time.time()),
                     "model": body["model"]}

    def choice(self, text, reason):
        return [{"index": 0, "text": text, "logprobs": None, "finish_reason": reason, "stop_reason": None,
                 "token_ids": None}]

    def whole(self):
        return {**self.head, "choices": self.choice("".join(self.pieces), self.reason), "service_tier": None,
                "system_fingerprint": None, "usage": usage(self.prompt, len(self.pieces)),
                "kv_transfer_params": None}

    def events(self):
        for index, piece in enumerate(self.pieces):
            yield {**self.head, "choices": self.choice(piece, self.reason if index == len(self.pieces) - 1 else None)}
        if (self.body.get("stream_options") or {}).get("include_usage"):
            yield {**self.head, "choices": [], "usage": usage(self.prompt, len(self.pieces))}


def embeddings(body):
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    if not texts:
        raise bad("input: List should have at least 1 item", "input")
    if isinstance(texts[0], int):
        texts = [texts]
    rows = []
    for index, text in enumerate(texts):
        vector = [float(len(text)), 0.5, -1.0]
        if body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        rows.append({"index": index, "object": "embedding", "embedding": vector})
    tokens = sum(len(t.split()) if isinstance(t, str) else len(t) for t in texts)
    return {"id": "embd-" + uuid.uuid4().hex, "object": "list", "created": int(time.time()), "model": body["model"],
            "data": rows, "usage": usage(tokens, 0)}


def models():
    return {"object": "list", "data": [{
        "id": options.served_model_name, "object": "model", "created": int(time.time()), "owned_by": "vllm",
        "root": "/model", "parent": None, "max_model_len": options.max_model_len,
        "permission": [{"id": "modelperm-" + uuid.uuid4().hex, "object": "model_permission", "allow_view": True}]}]}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "uvicorn"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path == "/health":
            return self.send(200, b"", None)
        if self.path == "/v1/models":
            return self.send_json(200, models())
        return self.send_json(404, {"detail": "Not Found"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self.read_chunks()
        try:
            self.answer(json.loads(body))
        except ApiError as error:
            self.send_json(error.status, error.body)

    def answer(self, body):
        forms = {"/v1/chat/completions": Chat, "/v1/completions": Completion}
        if options.task == "embed":
            forms = {"/v1/embeddings": None}
        if self.path not in forms:
            return self.send_json(404, {"detail": "Not Found"})
        check(body, options.served_model_name)
        if self.path == "/v1/embeddings":
            return self.send_json(200, embeddings(body))
        text = forms[self.path](body)
        if not body.get("stream"):
            return self.send_json(200, text.whole())
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for event in text.events():
                self.send_chunk("data: " + json.dumps(event) + "\n\n")
        except ApiError as error:
            self.send_chunk("data: " + json.dumps(error.body) + "\n\n")
        self.send_chunk("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def read_chunks(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def send_chunk(self, text):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text.encode()), text.encode()))
        self.wfile.flush()

    def send_json(self, status, value):
        self.send(status, json.dumps(value).encode(), "application/json")

    def send(self, status, body, kind):
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


Server(("127.0.0.1", options.port), Handler).serve_forever()

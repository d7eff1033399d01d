"""A worker that does what bad servers do; the path says what. Usage: hostile_worker.py PORT FOLDER"""
import base64
import hashlib
import json
import os
import re
import socket
import struct
import sys
import threading

PORT, FOLDER = int(sys.argv[1]), sys.argv[2]


def read_request(conn):
    data = b""
    while b"\r\n\r\n" not in data:
        more = conn.recv(65536)
        if not more:
            return None
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    lines = head.decode("latin1").split("\r\n")
    headers = [line.split(": ", 1) for line in lines[1:]]
    length = int(next((v for n, v in headers if n.lower() == "content-length"), 0))
    while len(body) < length:
        body += conn.recv(65536)
    return lines[0].split(" ")[1], headers, body


def whole(body, *fields):
    """A whole response. The connection is closed after it; unless it says so, the client can use it once more."""
    extra = "".join(h + "\r\n" for h in fields).encode()
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n%s\r\n%s" % (len(body), extra, body)


def ran(path):
    """Notes an execution: one line each."""
    with open(os.path.join(FOLDER, "ran"), "a") as log:
        log.write(path + "\n")


def field(name, value):
    """A header of HTTP/2, without index and without Huffman's code (RFC 7541, sections 6.2.2 and 5.1)."""
    return b"\x00" + length(len(name)) + name + length(len(value)) + value


def length(n):
    if n < 127:
        return bytes([n])
    n, rest = n - 127, [127]
    while n >= 128:
        rest.append(n % 128 + 128)
        n //= 128
    return bytes(rest + [n])


def headers(stream, block):
    """HEADERS and the CONTINUATIONs that its length needs."""
    parts = [block[i:i + 16000] for i in range(0, len(block), 16000)]
    kinds = [1] + [9] * (len(parts) - 1)
    return b"".join(frame(k, 4 if i == len(parts) - 1 else 0, stream, p) for i, (k, p) in enumerate(zip(kinds, parts)))


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def serve_h2(conn):
    """HTTP/2 in a few frames; all but /ready is answered with a length that is not that of the body."""
    source = conn.makefile("rb")
    source.read(24)
    conn.sendall(frame(4, 0, 0, b""))
    while len(head := source.read(9)) == 9:
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
        payload = source.read(int.from_bytes(head[:3], "big"))
        if kind == 4 and not flags & 1:
            conn.sendall(frame(4, 1, 0, b""))
        elif kind == 6 and not flags & 1:
            conn.sendall(frame(6, 1, 0, payload))
        elif kind == 1:
            # .NET writes paths as they are, not in Huffman's code. Fields: 0x88 is ":status: 200", 0x0f 0x0d begins a content-length.
            path = re.search(rb"/[a-z0-9-]+", payload)[0].decode()
            if path != "/ready":
                ran(path)
            if path == "/many-headers":
                conn.sendall(headers(stream, b"\x88" + field(b"x-long", b"a" * 70_000)) + frame(0, 1, stream, b"1"))
            elif path == "/no-status":
                conn.sendall(headers(stream, field(b"x", b"1")) + frame(0, 1, stream, b"1"))
            elif path == "/utf8":
                conn.sendall(headers(stream, b"\x88" + field(b"x-name", "caf\u00e9".encode())) + frame(0, 1, stream, b"%d" % (b"caf\xc3\xa9" in payload)))
            else:
                body, declared = (b"ready", b"5") if path == "/ready" else (b"1", b"2")
                conn.sendall(frame(1, 4, stream, b"\x88\x0f\x0d\x01" + declared) + frame(0, 1, stream, body))


def serve(conn):
    if conn.recv(3, socket.MSG_PEEK) == b"PRI":
        serve_h2(conn)
        return
    request = read_request(conn)
    if request is None:
        return
    path, fields, body = request
    if path == "/job":
        path = json.loads(body)["input"]["path"]
    if path not in ("/ready", "/metrics"):
        ran(path)
    if path == "/ready":
        conn.sendall(whole(b"ready"))
    elif path == "/ready-boasting":
        conn.sendall(whole(b"ready", "Server-Timing: model;dur=1e999, total;dur=NaN"))
    elif path == "/echo":
        conn.sendall(whole(body))
    elif path == "/headers":
        conn.sendall(whole(json.dumps(fields).encode(), "Content-Type: application/json", "Server: hostile", "Set-Cookie: a=b",
                           "X-Sluice-Worker: forged", "Access-Control-Allow-Origin: *", "Strict-Transport-Security: max-age=1",
                           "X-Accel-Redirect: /secret", "X-Accel-Expires: 1", "X-Sendfile: /etc/passwd", "Service-Worker-Allowed: /", "NEL: {}",
                           "Report-To: {}", "WWW-Authenticate: Basic", "Refresh: 0; url=/", "X-Own: kept", "Cache-Control: no-store"))
    elif path.startswith("/target"):
        conn.sendall(whole(path.encode("latin1")))
    elif path == "/utf8":
        conn.sendall(whole(json.dumps(fields).encode(), "X-Name: caf\u00e9"))
    elif path == "/control-character":
        conn.sendall(whole(b"1", "X-Name: a\x01b"))
    elif path == "/two-lengths":
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n12")
    elif path == "/stray-101":
        conn.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
    elif path == "/status-99":
        conn.sendall(b"HTTP/1.1 099 Odd\r\nContent-Length: 1\r\n\r\n1")
    elif path == "/status-2":
        conn.sendall(b"HTTP/1.1 2 Odd\r\nContent-Length: 1\r\n\r\n1")
    elif path == "/bad-name":
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX Y: 1\r\n\r\n1")
    elif path == "/bad-chunk":
        conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n1")
    elif path == "/headers-only":
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    elif path == "/cut-headers":
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nX-")
    elif path == "/silent-body":
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        conn.recv(1)
    elif path == "/socket":
        offered = next((v for n, v in fields if n.lower() == "sec-websocket-protocol"), "none")
        chosen = "Sec-WebSocket-Protocol: chat\r\n" if "chat" in offered else ""
        key = next(v for n, v in fields if n.lower() == "sec-websocket-key")
        chosen += "Sec-WebSocket-Accept: " + base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode() + "\r\n"
        conn.sendall(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%sX-Offered: %s\r\n\r\n"
                      % (chosen, offered)).encode("latin1"))
    elif path == "/events":
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n0\r\n\r\n")
    elif path == "/error-500":
        conn.sendall(b"HTTP/1.1 500 Error\r\nContent-Length: 5\r\n\r\nerror")
    elif path == "/no-content":
        conn.sendall(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n12345")
    elif path == "/reset-content":
        conn.sendall(b"HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\n12345")
    elif path == "/cut-length":
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfour")
    elif path == "/cut-chunks":
        conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n")
    elif path == "/cut-events":
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n")
    elif path == "/reset":
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfour")
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif path == "/stall":
        conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n")
        conn.recv(1)
    elif path == "/many-headers":
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(100_000)) + b"\r\n")
    elif path.startswith("/large?mib="):
        mib = int(path.split("=")[1])
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (mib << 20))
        for _ in range(mib):
            conn.sendall(bytes(1 << 20))
    elif path == "/unframed":
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nis this all?")
    elif path == "/unframed-events":
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
    elif path == "/latin1":
        conn.sendall(whole(b'{"output":"caf\xe9 \xf0\x9f\xa6\x8a"}'))
    elif path == "/latin1-events":
        conn.sendall(whole(b'data: "caf\xe9"\n\ndata: [1]\n\n', "Content-Type: text/event-stream"))
    elif path == "/garbage":
        conn.sendall(b"\x00\x01\x02 not HTTP at all\r\n\r\n")
    elif path == "/empty":
        pass
    elif path in ("/hang", "/metrics"):
        conn.recv(1)
    elif path.startswith("/die-once"):
        marker = os.path.join(FOLDER, "died")
        if not os.path.exists(marker):
            open(marker, "w").close()
            os._exit(1)
        conn.sendall(whole(b"second try: %d bytes" % len(body)))
    elif path == "/die-always":
        os._exit(1)
    elif path == "/upgrade":
        conn.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
        while data := conn.recv(65536):
            conn.sendall(data)
    else:
        conn.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    conn.close()


listener = socket.create_server(("127.0.0.1", PORT))
print("listening", flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

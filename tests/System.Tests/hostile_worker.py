"""A worker that does what bad servers do; the path says what. Usage: hostile_worker.py PORT FOLDER"""
import json
import os
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


def whole(body, *headers):
    extra = "".join(h + "\r\n" for h in headers).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s" % (len(body), extra, body)


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
            body, length = (b"ready", b"5") if b"/ready" in payload else (b"1", b"2")
            conn.sendall(frame(1, 4, stream, b"\x88\x0f\x0d\x01" + length) + frame(0, 1, stream, body))


def serve(conn):
    if conn.recv(3, socket.MSG_PEEK) == b"PRI":
        serve_h2(conn)
        return
    request = read_request(conn)
    if request is None:
        return
    path, headers, body = request
    if path == "/ready":
        conn.sendall(whole(b"ready"))
    elif path == "/ready-boasting":
        conn.sendall(whole(b"ready", "Server-Timing: model;dur=1e999, total;dur=NaN"))
    elif path == "/echo":
        conn.sendall(whole(body))
    elif path == "/headers":
        conn.sendall(whole(json.dumps(headers).encode(), "Content-Type: application/json", "Server: hostile", "Set-Cookie: a=b",
                           "X-Sluice-Worker: forged", "Access-Control-Allow-Origin: *", "Strict-Transport-Security: max-age=1",
                           "X-Own: kept", "Cache-Control: no-store"))
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

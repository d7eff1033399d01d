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


def serve(conn):
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

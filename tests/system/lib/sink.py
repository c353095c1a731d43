"""
The payers' endpoint: takes notifications, behaves as it is told to, and writes down what came.

In:    POSTs on 127.0.0.1; orders as POST /_control {"path": "/a", "mode": "ok", "retry_after": 3, "delay": 0.1, "fail_every": 7}.
Out:   one JSON line an arrival, in the order of arrival, written before the answer goes out.
Owns:  its process; a test talks to it through class Sink.

Modes: "ok" (200), any status ("503", "410"), "hang" (reads, never answers), "reset" (half an answer, then a reset),
"down" (the connection is closed without an answer). Refused connections are had by Sink.stop and Sink.start.

The hard thing: what a focus consists of must be the bytes as they came, so an entry's resource is cut from the body by
position and hashed; it is never parsed and written again. Not http.server: it manages a few hundred requests a second.
"""
import asyncio
import hashlib
import json
import os
import socket
import struct
import subprocess
import sys
import time

import kafka

_decode = json.JSONDecoder().raw_decode
_SPACE = " \t\r\n"


def _skip(text, i):
    while text[i] in _SPACE:
        i += 1
    return i


def members(text, i):
    """The members of the object at i: (name, start, end of the value). The last item is (None, end of the object, None)."""
    i = _skip(text, i + 1)
    while text[i] != "}":
        name, i = _decode(text, i)
        start = _skip(text, _skip(text, i) + 1)
        _, end = _decode(text, start)
        yield name, start, end
        i = _skip(text, end)
        if text[i] == ",":
            i = _skip(text, i + 1)
    yield None, i + 1, None


def entries(text):
    """Of each entry of the Bundle: (its members as values without the resource, the resource's exact text or None)."""
    found = []
    for name, start, _ in members(text, _skip(text, 0)):
        if name != "entry":
            continue
        i = _skip(text, start + 1)
        while text[i] != "]":
            entry, resource = {}, None
            for member, at, end in members(text, i):
                if member is None:
                    i = at
                elif member == "resource":
                    resource = text[at:end]
                else:
                    entry[member] = _decode(text, at)[0]
            found.append((entry, resource))
            i = _skip(text, i)
            if text[i] == ",":
                i = _skip(text, i + 1)
    return found


def digest(raw):
    return hashlib.sha256(raw).hexdigest()


def arrival(body):
    """What one notification says, as a value for a JSON line."""
    text = body.decode("utf-8")
    bundle = json.loads(text)
    parts = entries(text)
    status = bundle["entry"][0]["resource"]
    values, events = {}, []
    for p in status["parameter"]:
        if p["name"] == "notification-event":
            events.append({q["name"]: next(v for k, v in q.items() if k != "name") for q in p["part"]})
        else:
            values[p["name"]] = next(v for k, v in p.items() if k != "name")
    by_url, proven = {}, {}
    for (entry, resource), whole in list(zip(parts, bundle["entry"]))[1:]:
        if whole.get("resource", {}).get("resourceType") == "Provenance":
            for target in whole["resource"]["target"]:
                url = target["reference"].split("/_history/")[0]
                proven[url] = proven.get(url, 0) + 1
        else:
            by_url.setdefault(entry["fullUrl"], []).append((entry, resource))
    told = []
    for e in events:
        url = e.get("focus", {}).get("reference")
        mine = by_url.get(url) or []
        entry, resource = mine.pop(0) if mine else (None, None)
        told.append({"n": int(e["event-number"]), "focus": url,
                     "sha": digest(resource.encode("utf-8")) if resource is not None else None,
                     "method": entry["request"]["method"] if entry else None,
                     "provenance": proven.get(url, 0)})
    return {"bundle": bundle.get("id"), "type": values.get("type"), "state": values.get("status"),
            "sub": values["subscription"]["reference"].rsplit("/", 1)[-1],
            "since": int(values.get("events-since-subscription-start", 0)),
            "numbers": [e["n"] for e in told], "events": told, "body": digest(body),
            "extra": sum(len(v) for v in by_url.values())}


# -- the server, in its own process --------------------------------------------------------------------------------

class Connection(asyncio.Protocol):
    """HTTP/1.1 with Content-Length or chunks, keep-alive, one request after the other."""

    def __init__(self, server):
        self.server = server
        self.buffer = bytearray()
        self.dead = False

    def connection_made(self, transport):
        self.transport = transport
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data):
        self.buffer += data
        while not self.dead:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            lines = bytes(self.buffer[:end]).split(b"\r\n")
            headers = {}
            for line in lines[1:]:
                name, _, value = line.partition(b":")
                headers[name.strip().lower()] = value.strip()
            n = int(headers.get(b"content-length", 0))
            if len(self.buffer) < end + 4 + n:
                return
            body = bytes(self.buffer[end + 4:end + 4 + n])
            del self.buffer[:end + 4 + n]
            self.server.request(self, lines[0].split(b" ")[1].decode(), headers, body)

    def answer(self, status, body=b"", more=b""):
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), more, body))

    def reset(self):
        """Half an answer, then RST instead of FIN (SO_LINGER 0)."""
        self.dead = True
        self.transport.write(b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nhalf")
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def close(self):
        self.dead = True
        self.transport.abort()


class Server:
    def __init__(self, file):
        self.out = open(file, "a", buffering=1)
        self.modes = {}

    def request(self, connection, path, headers, body):
        if path == "/_control":
            order = json.loads(body)
            self.modes[order["path"]] = order
            connection.answer(200)
            return
        order = self.modes.get(path, {"mode": "ok"})
        mode = order["mode"]
        order["count"] = order.get("count", 0) + 1
        if order.get("fail_every") and order["count"] % order["fail_every"] == 0:
            mode = "500"
        status = int(mode) if mode.isdigit() else 200 if mode == "ok" else None
        line = {"t": time.time(), "path": path, "status": status, "webhook": headers.get(b"webhook-id", b"").decode(),
                "content_type": headers.get(b"content-type", b"").decode()}
        try:
            line.update(arrival(body))
        except Exception as e:  # whatever came is written down; the oracle refuses it
            line["broken"] = "%s: %s" % (type(e).__name__, e)
        self.out.write(json.dumps(line) + "\n")
        if order.get("delay"):
            asyncio.get_event_loop().call_later(order["delay"], self.finish, connection, mode, status, order)
        else:
            self.finish(connection, mode, status, order)

    @staticmethod
    def finish(connection, mode, status, order):
        if status is not None:
            after = order.get("retry_after")
            connection.answer(status, more=b"Retry-After: %d\r\n" % after if after is not None else b"")
        elif mode == "reset":
            connection.reset()
        elif mode == "down":
            connection.close()
        # hang: nothing


def serve(port, file):
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    server = Server(file)
    loop.run_until_complete(loop.create_server(lambda: Connection(server), "127.0.0.1", port, backlog=4096))
    print("ready", flush=True)
    loop.run_forever()


# -- the test's side -----------------------------------------------------------------------------------------------

class Sink:
    """The endpoint as a test sees it. `arrivals` grows by `read`, in the order of arrival."""

    def __init__(self, home, port):
        self.port, self.file = port, os.path.join(home, "arrivals-%d.jsonl" % port)
        self.process, self.arrivals, self.at, self.modes = None, [], 0, {}
        self.seen = {}   # subscription -> set of event numbers that were accepted
        self.tried = {}  # and of those that came at all
        open(self.file, "a").close()

    def start(self):
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), str(self.port), self.file],
                                        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, preexec_fn=kafka.ends_with_us)
        if self.process.stdout.readline() != b"ready\n":
            raise AssertionError("the endpoint did not start on port %d" % self.port)
        for order in list(self.modes.values()):
            self.mode(**order)
        return self

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def url(self, path):
        return "http://127.0.0.1:%d%s" % (self.port, path)

    def mode(self, path, mode, **more):
        self.modes[path] = order = dict(more, path=path, mode=mode)
        body = json.dumps(order).encode()
        with socket.create_connection(("127.0.0.1", self.port), 10) as s:
            s.sendall(b"POST /_control HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            if not s.recv(100).startswith(b"HTTP/1.1 200"):
                raise AssertionError("the endpoint refused an order")

    def read(self):
        """What has come since the last call."""
        with open(self.file, "rb") as f:
            f.seek(self.at)
            data = f.read()
        whole = data[:data.rfind(b"\n") + 1]
        self.at += len(whole)
        new = [json.loads(line) for line in whole.splitlines()]
        self.arrivals += new
        for a in new:
            if "broken" not in a:
                self.tried.setdefault(a["sub"], set()).update(a["numbers"])
                if a["status"] is not None and a["status"] < 300:
                    self.seen.setdefault(a["sub"], set()).update(a["numbers"])
        return new

    def numbers(self, sub):
        self.read()
        return self.seen.get(sub, set())


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])

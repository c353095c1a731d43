"""The harness held against itself: a checker that cannot fail would pass everything. Needs no cdex-push."""
import copy
import os
import socket
import subprocess
import threading
import time

import kafka
import oracle
from feed import Feed
from gateway import BASE
from sink import digest

STATUS = ('{"resourceType":"Parameters","parameter":[{"name":"subscription","valueReference":{"reference":"https://g/Subscription/%s"}},'
          '{"name":"status","valueCode":"active"},{"name":"type","valueCode":"event-notification"},'
          '{"name":"events-since-subscription-start","valueString":"%d"}%s]}')
EVENT = ',{"name":"notification-event","part":[{"name":"event-number","valueString":"%d"},{"name":"focus","valueReference":{"reference":"%s"}}]}'


def bundle(ident, sub, events):
    """A full-resource notification of (number, focus, resource bytes or None), by string building alone."""
    entries = [b'{"fullUrl":"urn:uuid:1","resource":' +
               (STATUS % (sub, events[-1][0], "".join(EVENT % (n, f) for n, f, _ in events))).encode() + b"}"]
    for _, focus, raw in events:
        method = b"PUT" if raw is not None else b"DELETE"
        content = b'"resource" :\n ' + raw + b" ," if raw is not None else b""
        entries.append(b'{"fullUrl":"%s", %s "request":{"method":"%s","url":"x"}}' % (focus.encode(), content, method))
        if raw is not None:
            entries.append(b'{"fullUrl":"urn:uuid:2","resource":{"resourceType":"Provenance","target":[{"reference":"%s"}]}}' % focus.encode())
    return b'{"resourceType":"Bundle","id":"%s","type":"history","entry":[%s]}' % (ident.encode(), b",".join(entries))


def post(sock, path, body, ident="msg_1"):
    sock.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nwebhook-id: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        path.encode(), ident.encode(), len(body), body))
    return sock.recv(4096)


def test_parts_sink_cuts_the_bytes_that_came(ctx):
    sink, feed = ctx.sink(), Feed(1)
    _, _, first = feed.write("Observation", "o1", "p1")
    _, _, second = feed.write("Observation", "o1", "p1")
    with socket.create_connection(("127.0.0.1", sink.port)) as sock:
        answer = post(sock, "/a", bundle("b1", "s", [(1, "F/o1", first), (2, "F/o1", second), (3, "F/o2", None)]))
        assert answer.startswith(b"HTTP/1.1 200"), answer
    arrival, = sink.read()
    assert arrival["numbers"] == [1, 2, 3] and arrival["sub"] == "s" and arrival["bundle"] == "b1", arrival
    assert [e["sha"] for e in arrival["events"]] == [digest(first), digest(second), None], "another content was cut"
    assert [e["method"] for e in arrival["events"]] == ["PUT", "PUT", "DELETE"], arrival["events"]
    assert [e["provenance"] for e in arrival["events"]] == [2, 2, 0], arrival["events"]


def test_parts_sink_misbehaves_as_told(ctx):
    sink = ctx.sink()
    body = bundle("b1", "s", [(1, "F/o1", None)])

    def answer(mode, **more):
        sink.mode("/a", mode, **more)
        with socket.create_connection(("127.0.0.1", sink.port)) as sock:
            sock.settimeout(0.5)
            try:
                got = post(sock, "/a", body)
                return got or b"closed"
            except socket.timeout:
                return b"nothing"
            except ConnectionResetError:
                return b"reset"

    assert answer("503", retry_after=7).split(b"\r\n")[0] == b"HTTP/1.1 503 X", "503"
    assert b"Retry-After: 7" in answer("503", retry_after=7), "Retry-After"
    assert answer("hang") == b"nothing", "hang"
    assert answer("down") in (b"closed", b"reset"), "down"
    assert answer("reset") == b"reset" or answer("reset").endswith(b"half"), "reset"
    assert answer("ok").startswith(b"HTTP/1.1 200"), "ok again"
    sink.stop()
    try:
        socket.create_connection(("127.0.0.1", sink.port)).close()
        raise AssertionError("a stopped endpoint accepted a connection")
    except ConnectionRefusedError:
        pass
    sink.modes["/a"]["mode"] = "410"
    sink.start()
    with socket.create_connection(("127.0.0.1", sink.port)) as sock:
        assert post(sock, "/a", body).startswith(b"HTTP/1.1 410"), "the mode was forgotten"


def test_parts_sink_is_fast(ctx):
    sink = ctx.sink()
    body = bundle("b", "s", [(1, "F/o1", Feed(1).write("Observation", "o1", "p1")[2])])
    request = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    n, connections = 2000, 4

    def send():
        with socket.create_connection(("127.0.0.1", sink.port)) as sock:
            for _ in range(n):
                sock.sendall(request)
                sock.recv(4096)

    start = time.monotonic()
    threads = [threading.Thread(target=send) for _ in range(connections)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    rate = n * connections / (time.monotonic() - start)
    ctx.note("%d POST/s of %d bytes, sender in Python beside it", rate, len(body))
    assert len(sink.read()) == n * connections, "arrivals are missing"


def delivered(order, all_changes):
    """A faultless delivery of what is expected, as arrivals."""
    arrivals, n = [], 0
    for lane in oracle.expected(order, all_changes).values():
        for focus, sha, gone in lane:
            n += 1
            content = order.level == "full-resource" and not gone
            arrivals.append({"sub": order.sub, "type": "event-notification", "bundle": "b%d" % n, "webhook": "w%d" % n,
                             "body": "h%d" % n, "status": 200, "numbers": [n], "events": [
                                 {"n": n, "focus": focus if order.level != "empty" else None, "sha": sha if content else None,
                                  "method": "DELETE" if gone else "PUT", "provenance": 1 if content else 0}]})
    return arrivals


def drop(arrivals):
    del arrivals[5]


def drop_last(arrivals):
    del arrivals[-1]


def swap(arrivals):
    """Two events of one lane change places and keep their numbers."""
    a, b = arrivals[4]["events"][0], arrivals[5]["events"][0]
    a["n"], b["n"] = b["n"], a["n"]
    arrivals[4]["events"], arrivals[5]["events"] = [b], [a]


def other_bytes(arrivals):
    next(a for a in arrivals if a["events"][0]["sha"])["events"][0]["sha"] = "0" * 64


def foreign(arrivals):
    arrivals[-1]["events"][0]["focus"] = BASE + "/Patient/stranger"


def repeat_differs(arrivals):
    again = copy.deepcopy(arrivals[3])
    again["bundle"] = "other"
    arrivals.append(again)


def repeat_content(arrivals):
    again = copy.deepcopy(arrivals[3])
    again["numbers"], again["events"] = [3, 4], [arrivals[2]["events"][0], dict(again["events"][0], sha="1" * 64)]
    arrivals.append(again)


def same_id(arrivals):
    arrivals[7]["bundle"] = arrivals[6]["bundle"]


def no_provenance(arrivals):
    next(a for a in arrivals if a["events"][0]["sha"])["events"][0]["provenance"] = 0


def one_more(arrivals):
    more = copy.deepcopy(arrivals[-1])
    n = len(arrivals) + 1
    more.update(bundle="b%d" % n, webhook="w%d" % n, body="h%d" % n, numbers=[n])
    more["events"][0]["n"] = n
    arrivals.append(more)


def refused_for_ever(arrivals):
    arrivals[-1]["status"] = 500


def went_on_after_refusal(arrivals):
    arrivals[9]["status"] = None  # no answer


def gap_in_numbers(arrivals):
    for a in arrivals[6:]:
        a["numbers"] = [a["numbers"][0] + 1]
        a["events"][0]["n"] += 1


FAULTS = (drop, drop_last, swap, other_bytes, foreign, repeat_differs, repeat_content, same_id, no_provenance, one_more, refused_for_ever,
          went_on_after_refusal, gap_in_numbers)


def source_records(n):
    """A feed as if read back, without a broker."""
    records, at = [], {}
    for partition, key, value in Feed(3, patients=6).changes(n, deletes=0.1):
        r = kafka.Record.__new__(kafka.Record)
        r.topic, r.partition, r.offset = "ehr", partition, at.setdefault(partition, 0)
        at[partition] += 1
        r.key, r.value = key, value
        records.append(r)
    return records


def test_parts_oracle_finds_each_fault(ctx):
    changes = oracle.changes(source_records(300), lambda topic: BASE)
    members = [BASE + "/Patient/p%d" % i for i in range(4)]
    order = oracle.Order("s", "full-resource", members, patients=members[:3])
    good = delivered(order, changes)
    assert 40 < len(good) < 250, "the feed is not worth checking: %d" % len(good)
    assert oracle.check(order, changes, good) == 0, "a faultless delivery has no repeats"
    assert oracle.check(order, changes, good + [copy.deepcopy(good[3])]) == 1, "an identical repeat is allowed and counted"
    for fault in FAULTS:
        bad = copy.deepcopy(good)
        fault(bad)
        try:
            oracle.check(order, changes, bad)
        except AssertionError as e:
            ctx.note("%s: %s", fault.__name__, e)
            continue
        raise AssertionError("the oracle let pass: %s" % fault.__name__)


def test_parts_oracle_knows_members_deletes_and_gaps(ctx):
    changes = oracle.changes(source_records(300), lambda topic: BASE)
    nobody = oracle.Order("s", "full-resource", [])
    assert oracle.expected(nobody, changes) == {}, "an empty roster hears of nothing"
    everyone = oracle.Order("s", "id-only", None)
    lanes = oracle.expected(everyone, changes)
    live = set()
    for lane in lanes.values():
        for focus, _, gone in lane:
            assert not gone or focus in live, "a delete of what was never sent"
            live.discard(focus) if gone else live.add(focus)
    assert sum(map(len, lanes.values())) == 300, "'*' hears of everything"
    cut = delivered(everyone, changes)
    oracle.check(everyone, changes, cut[:10] + cut[15:], gaps=[(11, 15)])
    try:
        oracle.check(everyone, changes, cut[:10] + cut[16:], gaps=[(11, 15)])
    except AssertionError:
        return
    raise AssertionError("a loss beyond the reported gap was let pass")


def test_parts_broker_comes_back(ctx):
    broker = ctx.own_broker()
    kafka.create_topics(broker.bootstrap, {"t": (2, {})})
    kafka.produce(broker.bootstrap, "t", [(i % 2, b"k%d" % i, b"v%d" % i, [("h", b"\x00x"), ("h", None)]) for i in range(100)])
    broker.kill()
    broker.start()
    records = kafka.read_all(broker.bootstrap, "t")
    assert [r.value for r in records if r.partition == 0] == [b"v%d" % i for i in range(0, 100, 2)], "records were lost or moved"
    assert records[0].headers == [("h", b"\x00x"), ("h", None)], records[0].headers
    kafka.delete_records(broker.bootstrap, "t", 1, 20)
    assert kafka.bounds(broker.bootstrap, "t", 1) == (20, 50), "the log's head is still there"
    kafka.delete_topic(broker.bootstrap, "t")
    kafka.create_topics(broker.bootstrap, {"t": (2, {})})
    assert kafka.read_all(broker.bootstrap, "t") == [], "a replaced topic is empty"
    broker.freeze()
    time_out = time.monotonic()
    assert not broker.answers() and time.monotonic() - time_out > 1, "a frozen broker answered"
    broker.thaw()
    broker.wait_ready()


def test_parts_cluster_loses_one(ctx):
    cluster = ctx.own_cluster()
    kafka.create_topics(cluster.bootstrap, {"t": (1, {})}, 3)
    kafka.produce(cluster.bootstrap, "t", [(0, None, b"1")])
    cluster.brokers[0].kill()
    kafka.produce(cluster.bootstrap, "t", [(0, None, b"2")])
    assert [r.value for r in kafka.read_all(cluster.bootstrap, "t")] == [b"1", b"2"], "the cluster lost a record"


def test_parts_fencing(ctx):
    """Recovery rests on the broker's refusal of a zombie (recovery.md C1): shown on the broker itself, without our code."""
    program = os.path.join(ctx.home, "fencing")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "rdkafka"], stdout=subprocess.PIPE, check=True).stdout.decode().split()
    subprocess.run([os.environ.get("CC", "gcc"), "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-o", program,
                    os.path.join(kafka.ROOT, "tests/system/fencing.c"), *flags], check=True)
    done = subprocess.run([program, ctx.broker.bootstrap], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=500)
    lines = done.stdout.decode().splitlines()
    for line in lines:
        if not line.startswith("#"):
            ctx.note("%s", line)
    assert done.returncode == 0, "; ".join(l for l in lines if l.startswith("not ok")) or "exit %d" % done.returncode

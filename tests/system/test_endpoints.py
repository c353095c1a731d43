"""What an endpoint can do to us and to its neighbours (design.md 4.4, delivery.md 3, 4 and 7)."""
import time

import kafka
import oracle
from feed import Feed
from test_flow import MEMBERS

MEGABYTE = 1 << 20


def site_with(ctx, paths, **push):
    site, sink = ctx.site().create_topics(), ctx.sink()
    site.push.update(push)
    site.roster("payer-a", MEMBERS)
    for path in paths:
        site.subscribe(path, sink.url("/" + path), members=MEMBERS, max_count=10)
    gateway = site.gateway().start()
    site.wait_active()
    return site, sink, gateway


def test_endpoints_misbehave(ctx):
    """One hangs, one says 503, one resets, one closes: each gets everything in order when it is well, the neighbour at once."""
    bad = {"hang": "hang", "busy": "503", "reset": "reset", "down": "down"}
    site, sink, gateway = site_with(ctx, ["well", *bad], **{"timeout.ms": 1000})
    for path, mode in bad.items():
        sink.mode("/" + path, mode)
    kafka.produce(site.bootstrap, site.source, list(Feed(ctx.seed).changes(1000)))
    site.settle(sink, 30, only=["well"])
    kafka.wait_until("each was tried again", 30, lambda: sink.read() is not None and all(
        sum(a["path"] == "/" + p and a["type"] == "event-notification" for a in sink.arrivals) >= 3 for p in bad))
    # subscriptions.md 1.6: status error while its endpoint fails, active again after it
    kafka.wait_until("they are shown as in error", 30, lambda: all(site.statuses().get(p) == "error" for p in bad))
    assert site.statuses()["well"] == "active", "the neighbour's status"
    for path in bad:
        sink.mode("/" + path, "ok")
    ctx.note("repeats %s", site.settle(sink, 60))
    site.wait_active(30)
    assert site.dead_letters() == [], "an endpoint's failure made dead letters"


def test_endpoints_retry_after(ctx):
    """RFC 9110 10.2.3: Retry-After is obeyed, for the whole endpoint, and over a restart (delivery.md 4)."""
    site, sink, gateway = site_with(ctx, ["busy"])
    sink.mode("/busy", "503", retry_after=8)
    kafka.produce(site.bootstrap, site.source, list(Feed(ctx.seed).changes(50)))

    def tries():
        sink.read()
        return [a["t"] for a in sink.arrivals if a["type"] == "event-notification"]
    first = kafka.wait_until("a first try", 20, tries)[0]
    gateway.stop()
    gateway.start()
    sink.mode("/busy", "ok")
    site.settle(sink, 40)
    again = [t for t in tries() if t > first]
    assert again[0] - first >= 7.9, "tried again %.1f s after Retry-After: 8" % (again[0] - first)


def test_endpoints_gone(ctx):
    """410 (delivery.md 3): status off, no further request; its neighbours go on."""
    site, sink, gateway = site_with(ctx, ["gone", "well"])
    sink.mode("/gone", "410")
    feed = Feed(ctx.seed)
    kafka.produce(site.bootstrap, site.source, list(feed.changes(50)))
    kafka.wait_until("it is off", 30, lambda: site.statuses().get("gone") == "off")
    sink.read()
    before = sum(a["path"] == "/gone" for a in sink.arrivals)
    kafka.produce(site.bootstrap, site.source, list(feed.changes(200)))
    site.settle(sink, 30, only=["well"])
    assert sum(a["path"] == "/gone" for a in sink.arrivals) == before, "a request after 410"


def test_endpoints_down_for_20000(ctx):
    """An endpoint that is down while 20,000 events arrive costs no memory and gets them in order (design.md 4.4)."""
    site, sink = ctx.site().create_topics(), ctx.sink()
    other = ctx.sink()
    site.roster("payer-a", MEMBERS)
    site.subscribe("down", other.url("/down"), members=MEMBERS)
    site.subscribe("well", sink.url("/well"), members=MEMBERS)
    gateway = site.gateway().start()
    site.wait_active()
    feed = Feed(ctx.seed, filler=200)

    def pass_through(n, only):
        kafka.produce(site.bootstrap, site.source, list(feed.changes(n)))
        due = site.due()
        for endpoint, idents in ((sink, ["well"]), (other, ["down"])):
            site.wait_delivered(endpoint, {i: due[i] for i in idents if i in only}, 180)

    pass_through(20000, ["well", "down"])  # a burst as large as the one below: pools and prefetch are as large as they get
    start = time.monotonic()
    pass_through(5000, ["well", "down"])
    alone = time.monotonic() - start
    other.stop()
    before = gateway.rss_bytes()
    start = time.monotonic()
    pass_through(20000, ["well"])
    beside = time.monotonic() - start
    # what the burst itself took on its way (fetched blocks, answers) goes back first; what stays is the backlog's
    growth = kafka.least_within(15, lambda: gateway.rss_bytes() - before, 2 * MEGABYTE)
    ctx.note("RSS %.1f MB, growth %.2f MB with 20,000 events waiting", before / MEGABYTE, growth / MEGABYTE)
    ctx.note("the neighbour's throughput beside it is %.2f of that with both up", 4 * alone / beside)
    assert growth < 2 * MEGABYTE, "memory grew by %.2f MB while 20,000 events waited" % (growth / MEGABYTE)
    other.start()
    changes = site.changes()
    site.wait_delivered(other, {"down": site.due(changes)["down"]}, 240)
    for endpoint, ident in ((sink, "well"), (other, "down")):
        endpoint.read()
        ctx.note("%s: %d repeats", ident, oracle.check(site.orders[ident], changes, endpoint.arrivals))


def test_endpoints_of_all_speeds(ctx):
    """
    Queues of many subscriptions overflow while others of their partition are read again and join the live reader (design.md
    4.4, recovery.md C2 to C4): nobody misses an event, and nothing is taken for a gap.
    """
    site, sink = ctx.site().create_topics(), ctx.sink()
    site.roster("payer-a", MEMBERS)
    for i in range(16):
        site.subscribe("s%d" % i, sink.url("/s%d" % i), ("full-resource", "id-only")[i % 2], members=MEMBERS, max_count=1 + i % 4)
    gateway = site.gateway().start()
    site.wait_active()
    for i in range(16):
        sink.mode("/s%d" % i, "ok", delay=0.001 * (i % 5), fail_every=400 + i if i % 3 == 0 else 0)
    feed = Feed(ctx.seed)
    for burst in (1500, 400, 1500):
        kafka.produce(site.bootstrap, site.source, list(feed.changes(burst)))
        kafka.wait_until("a part of the burst", 60, lambda: len(sink.numbers("s1")) >= burst // 2)
    ctx.note("repeats %s", sum(site.settle(sink, 180).values()))
    assert gateway.metrics().get("cdex_range_scans_total", 0) > 0, "no queue overflowed: the test shows nothing"
    assert site.dead_letters() == [], "a gap was reported"

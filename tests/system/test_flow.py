"""From a change in a hospital to a POST at a payer, with the process dying in between (design.md 4.1 to 4.4)."""
import os
import threading
import time

import kafka
from feed import Feed
from gateway import ANY, CLINICAL

MEMBERS = ["p%d" % i for i in range(12)]


def three_levels(ctx, bootstrap=None, max_count=None, **more):
    """A site with a subscription of each level, a filtered one and one of a client that may see everybody; not started."""
    site, sink = ctx.site(bootstrap, **more).create_topics(), ctx.sink()
    site.roster("payer-a", MEMBERS)
    site.subscribe("full", sink.url("/full"), members=MEMBERS, max_count=max_count)
    site.subscribe("idonly", sink.url("/idonly"), "id-only", members=MEMBERS, max_count=max_count)
    site.subscribe("empty", sink.url("/empty"), "empty", members=MEMBERS, max_count=max_count)
    site.subscribe("some", sink.url("/some"), about=CLINICAL, members=MEMBERS, patients=["p1", "p2", "p15"], max_count=max_count)
    site.subscribe("everyone", sink.url("/everyone"), client="payer-b", max_count=max_count)
    return site, sink


class Feeder(threading.Thread):
    """
    Produces a feed at a bounded rate until `count` is reached and `until` is past; without a count until `end`. `end` waits for
    it and raises what it met. A producer that
    a broker's fault has made useless is replaced: what is in the source topic then is the truth, lost and doubled ones too.
    """

    def __init__(self, site, feed, count, rate, until=0.0, deletes=0.02):
        super().__init__(daemon=True)
        self.site, self.feed, self.count, self.rate, self.until, self.deletes = site, feed, count, rate, until, deletes
        self.sent, self.replaced, self.error, self.enough = 0, 0, None, count is not None
        self.start()

    def run(self):
        begin = time.monotonic()
        try:
            writer = kafka.Writer(self.site.bootstrap)
            while not self.enough or self.sent < (self.count or 0) or time.monotonic() < self.until:
                chunk = max(1, self.rate // 10)
                try:
                    writer.write(self.site.source, list(self.feed.changes(chunk, self.deletes)))
                except (AssertionError, kafka.KafkaException):
                    self.replaced += 1
                    if self.replaced > 20:
                        raise
                    writer = kafka.Writer(self.site.bootstrap)
                self.sent += chunk
                time.sleep(max(0.0, begin + self.sent / self.rate - time.monotonic()))  # the rate
        except Exception as e:
            self.error = e

    def end(self):
        self.enough = True
        self.join()
        if self.error is not None:
            raise self.error


def test_smoke(ctx):
    site, sink = three_levels(ctx)
    gateway = site.gateway().start()
    site.wait_active()
    feed = Feed(ctx.seed)
    kafka.produce(site.bootstrap, site.source, list(feed.changes(100, deletes=0.15)))
    repeats = site.settle(sink, 60)
    assert not any(repeats.values()), "without a fault nothing is sent twice: %s" % repeats
    due = site.due()
    assert all(n > 0 for n in due.values()), "the feed gave some subscription nothing: %s" % due
    for ident in site.orders:
        mine = [a for a in sink.arrivals if a.get("sub") == ident]
        # backport 1.1.0, status lifecycle: the handshake comes first, and once
        assert [a["type"] for a in mine].count("handshake") == 1 and mine[0]["type"] == "handshake", "%s: no handshake first" % ident
        assert all(a["content_type"].startswith("application/fhir+json") for a in mine), "%s: Content-Type" % ident
    assert any(e["method"] == "DELETE" for a in sink.arrivals for e in a.get("events", ())), "no delete was sent"
    assert site.dead_letters() == [], "dead letters without a fault"
    gateway.stop()


def test_kill9(ctx):
    """design.md 4.2, 4.3: kill -9 at any instant is indistinguishable except for repeats."""
    soak = float(os.environ.get("CDX_SOAK", "0"))
    site, sink = three_levels(ctx, max_count=20)
    gateway = site.gateway().start()
    site.wait_active()
    for i, ident in enumerate(site.orders):  # so that a kill meets requests in flight and requests refused
        sink.mode("/" + ident, "ok", delay=0.005 * i, fail_every=29 + i)
    end = time.monotonic() + soak
    feeder, kills = Feeder(site, Feed(ctx.seed), 20000, 800, end), 0
    while kills < 15 or feeder.is_alive() or time.monotonic() < end:
        time.sleep(ctx.random.choice((0.05, 0.4, 1.0, 2.5)) * ctx.random.random())  # a random instant
        if not gateway.running():
            raise AssertionError("it ended by itself with %d" % gateway.process.returncode)
        gateway.kill()
        kills += 1
        gateway.spawn()
        if ctx.random.random() < 0.7:
            gateway.wait_ready()
    feeder.end()
    gateway.wait_ready()
    repeats = site.settle(sink, 300)
    ctx.note("%d kills, %d changes, repeats %s", kills, feeder.sent, repeats)
    assert site.dead_letters() == [], "a kill made dead letters"
    gateway.stop()


def test_transaction_aborted(ctx):
    """
    design.md 4.1: a transaction that ends half-way leaves nothing visible and nothing lost. The process is stopped while one is
    open, for so long that the broker aborts it and gives its partitions away; then it goes on as a zombie.
    """
    site, sink = three_levels(ctx)
    gateway = site.gateway().start()
    site.wait_active()
    log = site.prefix + "notifications"
    feeder = Feeder(site, Feed(ctx.seed), None, 800)

    def caught_open():
        """Stopped with records of a transaction that nobody has decided."""
        gateway.freeze()
        if len(kafka.read_all(site.bootstrap, log, committed=False)) > len(kafka.read_all(site.bootstrap, log)):
            return True
        gateway.thaw()
        return False

    kafka.wait_until("a transaction is open", 60, caught_open)
    frozen = time.time()
    kafka.wait_until("the broker has given it up", 40, lambda: time.time() > frozen + 25)  # its timeout, its scan every 10 s
    gateway.thaw()
    feeder.end()
    ctx.note("repeats %s", site.settle(sink, 120))
    aborted = len(kafka.read_all(site.bootstrap, log, committed=False)) - len(kafka.read_all(site.bootstrap, log))
    ctx.note("%d records of rolled back transactions lie in the log, and nobody was told of them", aborted)
    assert aborted > 0, "no transaction was rolled back"


def test_sigterm_drains(ctx):
    """delivery.md 11: SIGTERM waits for what is in flight and flushes; so nothing is lost and nothing is sent twice."""
    site, sink = three_levels(ctx, max_count=5)
    sink.mode("/full", "ok", delay=0.02)
    gateway = site.gateway().start()
    site.wait_active()
    feeder = Feeder(site, Feed(ctx.seed), 3000, 600)
    for target in (50, 200, 400):
        kafka.wait_until("%d events on the way" % target, 60, lambda: len(sink.numbers("full")) >= target)
        start = time.monotonic()
        gateway.stop(10)
        ended = time.monotonic()
        gateway.start()
        ctx.note("ended %.1f s after SIGTERM, ready again %.1f s after its start", ended - start, time.monotonic() - ended)
    feeder.end()
    repeats = site.settle(sink, 120)
    assert not any(repeats.values()), "sent twice after an orderly stop: %s" % repeats


def test_group(ctx):
    """Any number of processes share the work: two, one more, one killed, one stopped, one added again."""
    site, sink = ctx.site().create_topics(), ctx.sink()
    site.roster("payer-a", MEMBERS)
    for i in range(12):
        site.subscribe("s%d" % i, sink.url("/s%d" % i), ("full-resource", "id-only", "empty")[i % 3], members=MEMBERS)
    gateways = [site.gateway("gateway-%d" % i) for i in range(1, 5)]
    gateways[0].start()
    gateways[1].start()
    site.wait_active()
    feeder = Feeder(site, Feed(ctx.seed), 6000, 250)
    kafka.wait_until("500 events", 60, lambda: len(sink.numbers("s0")) >= 500)
    gateways[2].start()
    kafka.wait_until("1000 events", 90, lambda: len(sink.numbers("s0")) >= 1000)
    gateways[0].kill()
    kafka.wait_until("1500 events", 90, lambda: len(sink.numbers("s0")) >= 1500)
    gateways[1].stop()
    gateways[3].start()
    feeder.end()
    ctx.note("repeats %s", site.settle(sink, 120))
    for gateway in gateways[2:]:
        gateway.stop()


def test_same_instance_refused(ctx):
    """design.md 4.1: a second process with the same instance is refused with a sentence that says so."""
    site, sink = three_levels(ctx)
    first = site.gateway("gateway-1").start()
    site.wait_active()
    second = site.gateway("gateway-1")
    second.file, second.log = site.path("second.json"), site.path("second.log")
    second.configure = lambda: site.write("second.json", site.configuration("gateway-1", second.ops, second.roles))
    second.spawn()
    kafka.wait_until("one of the two ends", 40, lambda: not (first.running() and second.running()))
    assert first.running() != second.running(), "both have ended"
    gone, stays = (second, first) if first.running() else (first, second)
    assert gone.process.returncode not in (0, None) and gone.process.returncode > 0, "it ended with %d" % gone.process.returncode
    said = [l for l in gone.log_text().splitlines() if "gateway-1" in l and "instance" in l]
    assert said, "no sentence names the instance"
    ctx.note("the %s was refused: %s", "second" if gone is second else "first", said[-1][:200])
    kafka.produce(site.bootstrap, site.source, list(Feed(ctx.seed).changes(200)))
    stays.wait_ready()
    site.settle(sink, 60)


def test_two_sources(ctx):
    """design.md 4.6: Patient/1 of one hospital is not that of another."""
    bases = ("https://north.example.org/fhir", "https://south.example.org/fhir")
    prefix_topics = ["t%d-two-sources-%s" % (os.getpid(), n) for n in ("north", "south")]
    site, sink = ctx.site(sources=[{"topics": [t], "format": "fhir", "base": b} for t, b in zip(prefix_topics, bases)]), ctx.sink()
    site.create_topics()
    for client, base in zip(("north", "south"), bases):
        members = ["%s/Patient/p%d" % (base, i) for i in range(3)]
        site.roster(client, members)
        site.subscribe(client, sink.url("/" + client), about=ANY, client=client, members=members)
    site.gateway().start()
    site.wait_active()
    # the same ids in both, not the same versions
    north, south = Feed(ctx.seed, patients=5), Feed(ctx.seed + "s", patients=5)
    kafka.produce(site.bootstrap, prefix_topics[0], list(north.changes(150, deletes=0.2)))
    kafka.produce(site.bootstrap, prefix_topics[1], list(south.changes(150, deletes=0.2)))
    site.settle(sink, 60)
    for client, base in zip(("north", "south"), bases):
        assert all(e["focus"].startswith(base + "/") for a in sink.arrivals if a["sub"] == client for e in a["events"]), \
            "%s heard of the other hospital" % client

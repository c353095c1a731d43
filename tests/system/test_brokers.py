"""What a broker can do to us: die, freeze, come back; one of three lost (design.md 4, last paragraph)."""
import time

import kafka
from feed import Feed
from test_flow import Feeder, three_levels

LOST_AFTER = 10  # design.md 4.6: a process that has lost its brokers for 10 s sends nothing


def test_broker_restart(ctx):
    """kill -9 of the one broker in the middle of a feed."""
    broker = ctx.own_broker()
    site, sink = three_levels(ctx, broker.bootstrap)
    gateway = site.gateway().start()
    site.wait_active()
    for round_ in range(2):
        feeder = Feeder(site, Feed("%s %d" % (ctx.seed, round_), prefix="r%d" % round_ if round_ else ""), 2000, 400)
        target = len(sink.numbers("everyone")) + 500
        kafka.wait_until("500 events more", 60, lambda: len(sink.numbers("everyone")) >= target)
        broker.kill()
        broker.start()
        feeder.end()
        ctx.note("repeats %s", site.settle(sink, 120))
    assert gateway.running(), "it did not outlive its broker"


def test_broker_frozen(ctx):
    """A broker that stops answering for 20 s; a process that may be a zombie by then sends nothing to anybody."""
    broker = ctx.own_broker()
    site, sink = three_levels(ctx, broker.bootstrap, max_count=1)
    site.gateway().start()
    site.wait_active()
    sink.mode("/full", "500")
    feed = Feed(ctx.seed)
    kafka.produce(site.bootstrap, site.source, list(feed.changes(300)))
    due = site.due()
    site.wait_delivered(sink, {i: n for i, n in due.items() if i != "full"}, 60)
    frozen = time.time()
    broker.freeze()
    kafka.wait_until("the brokers are lost", LOST_AFTER + 10, lambda: time.time() > frozen + LOST_AFTER + 2)
    sink.mode("/full", "ok")  # hundreds of events wait for it
    kafka.wait_until("20 s are over", 20, lambda: time.time() > frozen + 20)
    thawed = time.time()
    broker.thaw()
    site.wait_delivered(sink, due, 120)
    late = [a for a in sink.arrivals if frozen + LOST_AFTER + 2 < a["t"] < thawed]
    assert late == [], "%d requests were sent %d s after the brokers were lost" % (len(late), LOST_AFTER + 2)
    kafka.produce(site.bootstrap, site.source, list(feed.changes(200)))
    ctx.note("repeats %s", site.settle(sink, 60))


def test_cluster(ctx):
    """Three brokers, min.insync.replicas 2: each is lost once and comes back."""
    cluster = ctx.own_cluster()
    site, sink = three_levels(ctx, cluster.bootstrap, replication=3)
    site.gateway().start()
    site.wait_active(90)
    feeder = Feeder(site, Feed(ctx.seed), None, 150)
    for i, broker in enumerate(cluster.brokers):
        target = len(sink.numbers("everyone")) + 300
        kafka.wait_until("300 events more", 90, lambda: len(sink.numbers("everyone")) >= target)
        broker.kill()
        target = len(sink.numbers("everyone")) + 300
        kafka.wait_until("300 events with broker %d down" % (i + 1), 90, lambda: len(sink.numbers("everyone")) >= target)
        broker.start()
        kafka.wait_until("broker %d is in sync again" % (i + 1), 90, lambda: in_sync(cluster.bootstrap, site, 3))
    feeder.end()
    ctx.note("repeats %s; the feed's producer was replaced %d times", site.settle(sink, 120), feeder.replaced)


def in_sync(bootstrap, site, n):
    """Every partition of ours has n replicas in sync."""
    client = kafka.admin(bootstrap)
    topics = client.list_topics(timeout=20).topics
    return all(len(p.isrs) == n for name, t in topics.items() if name.startswith(site.prefix) for p in t.partitions.values())

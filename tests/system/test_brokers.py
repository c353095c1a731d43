"""What a broker can do to us: die, freeze, come back; one of three lost (design.md 4, last paragraph)."""
import os
import subprocess
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


def make_certificate(home):
    """A certificate authority of our own, and a broker's key and certificate for 127.0.0.1 by it, as PEM."""
    def openssl(*args):
        subprocess.run(("openssl",) + args, check=True, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=broker", "-keyout", "broker.key", "-out", "broker.csr")
    with open(os.path.join(home, "san"), "w") as f:
        f.write("subjectAltName=IP:127.0.0.1")
    openssl("x509", "-req", "-in", "broker.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "san",
            "-out", "broker.pem")
    with open(os.path.join(home, "keystore.pem"), "w") as out:
        for name in ("broker.key", "broker.pem", "ca.pem"):
            with open(os.path.join(home, name)) as f:
                out.write(f.read())


def test_tls_sasl(ctx):
    """`kafka` passes TLS and SASL through: a broker that speaks nothing else to the program; a wrong authority is not believed."""
    home = ctx.home
    make_certificate(home)
    ports = kafka.free_ports(3)
    broker = ctx.own_broker(ports=ports[:2], properties={
        "listeners": "PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d,SASL_SSL://127.0.0.1:%d" % tuple(ports),
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
        "ssl.keystore.type": "PEM", "ssl.keystore.location": os.path.join(home, "keystore.pem"),
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_ssl.plain.sasl.jaas.config":
            'org.apache.kafka.common.security.plain.PlainLoginModule required user_gateway="not-so-secret";'})
    site, sink = three_levels(ctx, broker.bootstrap)
    with open(os.path.join(site.home, "password"), "w") as f:
        f.write("not-so-secret\n")
    site.kafka = {"bootstrap.servers": "127.0.0.1:%d" % ports[2], "security.protocol": "sasl_ssl", "sasl.mechanisms": "PLAIN",
                  "sasl.username": "gateway", "sasl.password": "@password", "ssl.ca.location": os.path.join(home, "ca.pem")}
    gateway = site.gateway().start()
    site.wait_active()
    kafka.produce(site.bootstrap, site.source, list(Feed(ctx.seed).changes(100)))
    site.settle(sink, 60)
    gateway.stop()
    with open(gateway.log) as f:
        assert "not-so-secret" not in f.read(), "a password stands in the log"
    with open(os.path.join(home, "other.pem"), "w") as out:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=another", "-keyout", "/dev/null"],
                       check=True, stdout=out, stderr=subprocess.DEVNULL)
    site.kafka["ssl.ca.location"] = os.path.join(home, "other.pem")
    stranger = site.gateway("gateway-2")
    stranger.spawn()
    kafka.wait_until("it says that it does not believe the broker", 30, lambda: "certificate verify failed" in open(stranger.log).read())
    assert stranger.get("/readyz")[0] != 200, "it is ready without a broker that it believes"

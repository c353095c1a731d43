"""The commands (design.md 7): exit 0 on success, 1 on a finding, 2 on wrong use; --json for machines."""
import copy
import json

import kafka
from feed import Feed
from gateway import PARTITIONS
from test_flow import MEMBERS


def configured(site, instance="gateway-1"):
    gateway = site.gateway(instance)
    gateway.configure()
    return gateway.file


def test_topics_command(ctx):
    """Makes what is missing, as design.md 3 has it; says so when nothing is missing; tells what differs."""
    site = ctx.site()
    file = configured(site)
    names = {site.prefix + n for n in kafka.TOPICS}
    code, out, err = site.command("topics", "--config", file, "--create")
    assert code == 0, "exit %d: %s" % (code, err)
    counts = kafka.partition_counts(site.bootstrap)
    assert {n for n in counts if n.startswith(site.prefix)} == names, "topics: %s" % sorted(n for n in counts if n.startswith(site.prefix))
    for name in ("notifications", "subscriptions", "cursors", "deliveries"):
        assert counts[site.prefix + name] == PARTITIONS, "%s has %d partitions" % (name, counts[site.prefix + name])
    for name, config in kafka.TOPICS.items():
        found = kafka.topic_config(site.bootstrap, site.prefix + name)
        assert {k: found[k] for k in config} == config, "%s: %s" % (name, {k: found[k] for k in config})
    code, out, err = site.command("topics", "--config", file)
    assert code == 0, "nothing is missing, but exit %d: %s%s" % (code, out, err)
    kafka.delete_topic(site.bootstrap, site.prefix + "cursors")
    code, out, err = site.command("topics", "--config", file)
    assert code == 1 and site.prefix + "cursors" in out + err, "a missing topic: exit %d: %s%s" % (code, out, err)


def test_check_command(ctx):
    """Says everything that is wrong, with file and path."""
    site, sink = ctx.site(), ctx.sink()
    site.roster("payer-a", MEMBERS)
    site.subscribe("s", sink.url("/s"), members=MEMBERS)
    file = configured(site)
    code, out, err = site.command("check", "--config", file)
    assert code == 0, "a good configuration: exit %d: %s%s" % (code, out, err)
    bad = copy.deepcopy(site.configuration("gateway-1", 9464, ["match", "push"]))
    bad["kafka"]["enable.auto.commit"] = "true"  # refused by name, design.md 7
    bad["push"]["cursor.flush.ms"] = "soon"
    bad["no.such.option"] = 1
    site.write("gateway-1.json", bad)
    code, out, err = site.command("check", "--config", file)
    assert code == 1, "three mistakes: exit %d" % code
    for word in ("enable.auto.commit", "cursor.flush.ms", "no.such.option"):
        assert word in out + err, "it does not name %s: %s%s" % (word, out, err)
    code, out, err = site.command("check", "--no-such-option")
    assert code == 2, "wrong use: exit %d" % code
    site.write("gateway-1.json", site.configuration("gateway-1", 9464, ["match", "push"]))
    site.write("subscriptions/wrong.json", {"resourceType": "Subscription", "id": "wrong", "status": "requested", "criteria": "Patient?"})
    code, out, err = site.command("check", "--config", file)
    assert code == 1 and "wrong.json" in out + err, "a wrong Subscription file: exit %d: %s%s" % (code, out, err)


def test_lag_command(ctx):
    """Lag per subscription in events, while one endpoint is down."""
    site, sink = ctx.site().create_topics(), ctx.sink()
    site.roster("payer-a", MEMBERS)
    site.subscribe("well", sink.url("/well"), members=MEMBERS)
    site.subscribe("down", sink.url("/down"), members=MEMBERS)
    gateway = site.gateway().start()
    site.wait_active()
    sink.mode("/down", "500")
    kafka.produce(site.bootstrap, site.source, list(Feed(ctx.seed).changes(100)))
    site.settle(sink, 60, only=["well"])
    due = site.due()

    def lag():
        code, out, err = site.command("lag", "--config", gateway.file, "--json")
        assert code in (0, 1), "exit %d: %s" % (code, err)
        return {s["subscription"]: s["lagEvents"] for s in json.loads(out)}
    kafka.wait_until("lag says %s" % {"well": 0, "down": due["down"]}, 20, lambda: lag() == {"well": 0, "down": due["down"]})
    sink.mode("/down", "ok")
    site.settle(sink, 60)
    kafka.wait_until("nothing lags", 20, lambda: lag() == {"well": 0, "down": 0})

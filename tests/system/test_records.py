"""What can be in the topics: poison, members who leave, heads and whole logs that are gone (design.md 4.5, 4.6)."""
import kafka
import oracle
from feed import Feed
from gateway import BASE
from test_flow import MEMBERS

SECRET = "Mustermann"  # stands for a patient's name: no error text may say it

# what -> (key, value); the patient in the readable ones is nobody's member
POISON = {
    "no JSON": (b"k", b'{"resourceType":"Patient","id":"x","name":[{"family":"Mustermann"}],'),
    "JSON, not FHIR": (b"k", b'{"order":{"name":"Mustermann"}}'),
    "an array": (b"k", b'["Mustermann"]'),
    "nesting": (b"k", b'{"resourceType":"Patient","id":"x","a":' + b"[" * 100000 + b"]" * 100000 + b"}"),
    "30 MB": (b"k", b'{"resourceType":"Patient","id":"x","a":"' + b"Mustermann" * 3000000 + b'"}'),
    "invalid UTF-8": (b"k", b'{"resourceType":"Patient","id":"x","name":[{"family":"Mustermann\xff"}]}'),
    "NUL": (b"k", b'{"resourceType":"Patient","id":"x","name":[{"family":"Muster\x00mann"}]}'),
    "empty": (b"k", b""),
    "without id": (b"k", b'{"resourceType":"Patient","name":[{"family":"Mustermann"}]}'),
    "a member twice": (b"k", b'{"resourceType":"Patient","id":"x","id":"y","name":[{"family":"Mustermann"}]}'),
    "tombstone of nothing": (b"Mustermann", None),
}
HEADERS = [("x-origin", b"\x00\x01\xff"), ("x-origin", b"twice"), ("x-null", None)]


def test_poison(ctx):
    """Each becomes a dead letter with its bytes and headers; what stands around it is delivered."""
    site, sink = ctx.site().create_topics(), ctx.sink()
    site.roster("payer-a", MEMBERS)
    site.subscribe("s", sink.url("/s"), members=MEMBERS)
    gateway = site.gateway().start()
    site.wait_active()
    feed, records = Feed(ctx.seed), []
    for key, value in POISON.values():
        records += list(feed.changes(5))
        records.append((1, key, value, HEADERS))
    records += list(feed.changes(5))
    kafka.produce(site.bootstrap, site.source, records)
    site.settle(sink, 60)
    letters = kafka.wait_until("a dead letter for each", 30,
                               lambda: (lambda found: found if len(found) >= len(POISON) else None)(site.dead_letters()))
    assert len(letters) == len(POISON), "%d dead letters for %d poisons" % (len(letters), len(POISON))
    by_place = {tuple(l.header("cdex-src-" + n) for n in ("topic", "partition", "offset")): l for l in letters}
    sources = [r for r in kafka.read_all(site.bootstrap, site.source) if (r.key, r.value) in set(POISON.values())]
    assert len(sources) == len(POISON), "the sources are not what was produced"
    for r in sources:
        name = next(n for n, p in POISON.items() if p == (r.key, r.value))
        place = (r.topic, str(r.partition), str(r.offset))
        letter = by_place.get(place)
        assert letter is not None, "%s: no dead letter names %s/%s/%s" % ((name,) + place)
        assert letter.key == r.key and letter.value == r.value, "%s: key or value was changed" % name
        assert [h for h in letter.headers if not h[0].startswith(("cdex-", "traceparent"))] == HEADERS, \
            "%s: headers were changed: %s" % (name, [h[0] for h in letter.headers])
        error = letter.header("cdex-dlq-error")
        assert all(part in error for part in place), "%s: '%s' does not name %s/%s/%s" % ((name, error) + place)
        assert len(error.encode()) <= 512 and SECRET not in error, "%s: the error text shows content" % name
        assert letter.header("cdex-dlq-stage") == "decode", "%s: stage %s" % (name, letter.header("cdex-dlq-stage"))
        ctx.note("%s: %s, %s", name, letter.header("cdex-dlq-class"), error)
    assert SECRET not in gateway.log_text(), "the log shows content"


def newest(records):
    return {r.key: r.value for r in records}


def test_roster_leave(ctx):
    """design.md 4.6: who left meanwhile is not disclosed; the event keeps its number and goes out without focus and content."""
    site, sink = ctx.site().create_topics(), ctx.sink()
    members = ["p0", "p1", "p2", "p3"]
    site.roster("payer-a", members)
    site.subscribe("s", sink.url("/s"), members=members, max_count=1)
    gateway = site.gateway().start()
    site.wait_active()
    sink.mode("/s", "500")
    feed = Feed(ctx.seed, patients=6)
    kafka.produce(site.bootstrap, site.source, [feed.write("Encounter", "first", "p1")])
    kafka.wait_until("the first, another's, is tried", 20, lambda: sink.read() is not None and sink.tried.get("s"))
    kafka.produce(site.bootstrap, site.source, list(feed.changes(80)))
    before = site.changes()
    due = site.due(before)["s"]
    kafka.wait_until("all events are logged", 30, lambda: len(kafka.read_all(site.bootstrap, site.prefix + "notifications")) == due)
    site.roster("payer-a", members[1:])
    gateway.reload()
    key = ("payer-a|%s/Patient/p0" % BASE).encode()
    kafka.wait_until("p0 has left", 30, lambda: newest(kafka.read_all(site.bootstrap, site.prefix + "rosters")).get(key, b"") is None)
    sink.read()
    tries = len(sink.arrivals)
    kafka.wait_until("it was tried three times since", 30, lambda: sink.read() is not None and len(sink.arrivals) >= tries + 3)
    left = {c.focus for c in before if c.patients == {BASE + "/Patient/p0"}}
    sink.mode("/s", "ok")
    kafka.produce(site.bootstrap, site.source, list(feed.changes(80)))
    site.orders["s"].members = {"%s/Patient/%s" % (BASE, p) for p in members[1:]}
    changes = site.changes()
    with_content = site.due(changes)["s"]
    bare = sum(c.focus in left for c in before)
    assert bare > 5, "the feed says too little of p0"
    site.wait_delivered(sink, {"s": with_content + bare}, 60)
    first = oracle.first_arrivals("s", sink.arrivals)
    assert len(first) == with_content + bare, "%d events, due were %d" % (len(first), with_content + bare)
    empty = [n for n, e in first.items() if e["focus"] is None]
    assert len(empty) == bare and all(first[n]["sha"] is None for n in empty), "%d came without content, due were %d" % (len(empty), bare)
    assert not any(e["focus"] in left for e in first.values()), "p0 was disclosed"
    # what is left of each partition is in order, byte by byte
    lanes = oracle.expected(site.orders["s"], changes)
    lane_of = {focus: lane for lane, items in lanes.items() for focus, _, _ in items}
    got = {lane: [] for lane in lanes}
    for n in sorted(set(first) - set(empty)):
        got[lane_of[first[n]["focus"]]].append((first[n]["focus"], first[n]["sha"], False))
    assert got == lanes, "the others' events are not the source's"


def log_of(site, ident):
    """(partition, offsets) of a subscription's records in the log: the n-th has number n."""
    mine = [r for r in kafka.read_all(site.bootstrap, site.prefix + "notifications") if r.key == ident.encode()]
    return mine[0].partition, [r.offset for r in mine]


def gaps_of(site):
    return {l.header("cdex-subscription"): (int(l.header("cdex-event-first")), int(l.header("cdex-event-last")))
            for l in site.dead_letters() if l.header("cdex-dlq-class") == "gap"}


def with_backlog(ctx):
    """Two subscriptions that have had 20 events or more each; `behind` then has as many more waiting. Stopped."""
    site, sink = ctx.site().create_topics(), ctx.sink()
    site.roster("payer-a", MEMBERS)
    site.subscribe("quiet", sink.url("/quiet"), members=MEMBERS, max_count=1)
    site.subscribe("behind", sink.url("/behind"), members=MEMBERS, max_count=1)
    gateway = site.gateway().start()
    site.wait_active()
    feed = Feed(ctx.seed)
    kafka.produce(site.bootstrap, site.source, list(feed.changes(60)))
    site.settle(sink, 60)
    had = len(sink.numbers("behind"))
    sink.mode("/behind", "500")
    kafka.produce(site.bootstrap, site.source, list(feed.changes(100)))
    site.settle(sink, 60, only=["quiet"])
    total = site.due()["behind"]
    kafka.wait_until("a try of the next", 20, lambda: sink.read() is not None and had + 1 in sink.tried["behind"])
    gateway.stop()
    return site, sink, gateway, feed, had, total


def test_log_head_deleted(ctx):
    """design.md 4.5: a gap exists only where something undelivered is gone, and it has the right numbers."""
    site, sink, gateway, feed, had, total = with_backlog(ctx)
    partition, offsets = log_of(site, "behind")
    assert len(offsets) == total, "the log has %d of %d events" % (len(offsets), total)
    survivor = had + (total - had) // 2  # the first number that is left
    kafka.delete_records(site.bootstrap, site.prefix + "notifications", partition, offsets[survivor - 1])
    quiet, quiet_offsets = log_of(site, "quiet")
    if quiet != partition:
        kafka.delete_records(site.bootstrap, site.prefix + "notifications", quiet, quiet_offsets[-1] + 1)
    sink.mode("/behind", "ok")
    gateway.start()
    kafka.produce(site.bootstrap, site.source, list(feed.changes(60)))
    changes = site.changes()
    due = site.due(changes)
    gap = (had + 1, survivor - 1)
    site.wait_delivered(sink, {"quiet": due["quiet"], "behind": due["behind"] - (gap[1] - gap[0] + 1)}, 60)
    assert gaps_of(site) == {"behind": gap}, "reported gaps: %s, due was %s" % (gaps_of(site), gap)
    oracle.check(site.orders["behind"], changes, sink.arrivals, gaps=[gap])
    oracle.check(site.orders["quiet"], changes, sink.arrivals)


def test_log_replaced(ctx):
    """design.md 4.5: a checkpoint above the log's end means that the log was replaced: reported, numbers go on unchanged."""
    site, sink, gateway, feed, had, total = with_backlog(ctx)
    quiet = len(sink.numbers("quiet"))
    name = site.prefix + "notifications"
    kafka.delete_topic(site.bootstrap, name)
    site.create_topics(sources=False)
    sink.mode("/behind", "ok")
    gateway.start()
    produced = site.changes()
    kafka.produce(site.bootstrap, site.source, list(feed.changes(60)))
    changes = site.changes()
    due = site.due(changes)
    # what waited is lost with the log; what comes now has the numbers after it
    site.wait_delivered(sink, {"quiet": due["quiet"], "behind": had + due["behind"] - total}, 60)
    assert gaps_of(site) == {"behind": (had + 1, total)}, "reported gaps: %s, due was %s" % (gaps_of(site), (had + 1, total))
    assert "replaced" in gateway.log_text(), "the log does not say that the log was replaced"
    oracle.check(site.orders["behind"], changes, sink.arrivals, gaps=[(had + 1, total)])
    assert max(sink.numbers("behind")) == due["behind"], "numbers did not go on"
    oracle.check(site.orders["quiet"], changes, sink.arrivals)
    assert quiet == site.due(produced)["quiet"], "the quiet one had something waiting"

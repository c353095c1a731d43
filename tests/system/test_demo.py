"""The demo (`cdex-push demo`): its account held against one made here, from the files that it leaves and its sample feed."""
import glob
import json
import os
import subprocess

import kafka
from gateway import PROGRAM

FEED = os.path.join(kafka.ROOT, "tests/demo/feed.ndjson")
BASE = "https://ehr.example.org/fhir/"


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def feed():
    """(reference, type, patient, line; None for a delete) of each change."""
    owner = {}
    with open(FEED, encoding="utf-8") as f:
        for line in f.read().splitlines():
            r = json.loads(line)
            if "delete" in r:
                yield r["delete"], r["delete"].split("/")[0], owner[r["delete"]], None
                continue
            reference = "%s/%s" % (r["resourceType"], r["id"])
            patient = reference if r["resourceType"] == "Patient" else (r.get("subject") or r.get("patient"))["reference"]
            owner[reference] = patient
            yield reference, r["resourceType"], patient, line


def due(out, name):
    """What must come: the roster's members, the topic's types (design.md 4.6); a delete to who got the version before."""
    sub = load(os.path.join(out, "subscriptions", name + ".json"))
    members = {m["entity"]["reference"] for m in load(os.path.join(out, "rosters", name + ".json"))["member"]}
    topics = [load(p) for p in glob.glob(os.path.join(kafka.ROOT, "topics/*.json"))]
    types = {t["resource"].rsplit("/", 1)[-1] for topic in topics if topic["url"] == sub["criteria"] for t in topic["resourceTrigger"]}
    return [change for change in feed() if change[1] in types and change[2] in members]


def came(out, name):
    """[(number, focus or None)] in number order, and the bodies' text by number."""
    events, bodies = [], {}
    for path in glob.glob(os.path.join(out, name, "[0-9]*.json")):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        for p in json.loads(text)["entry"][0]["resource"]["parameter"]:
            if p["name"] == "notification-event":
                parts = {q["name"]: q for q in p["part"]}
                number = int(parts["event-number"]["valueString"])
                events.append((number, parts["focus"]["valueReference"]["reference"] if "focus" in parts else None))
                bodies[number] = text
    return sorted(events), bodies


def check_payer(out, said):
    name, level = said["id"], said["payload"]
    wanted, (events, bodies) = due(out, name), came(out, name)
    assert said["expected"] == said["delivered"] == len(wanted) == len(events), "%s: %s, due were %d, files hold %d" % (
        name, said, len(wanted), len(events))
    assert [n for n, _ in events] == list(range(1, len(wanted) + 1)), "%s: numbers are not 1 to %d" % (name, len(wanted))
    assert all(said[k] == 0 for k in ("gaps", "lost", "surplus", "wrong", "altered", "out_of_order", "broken")), "%s: %s" % (name, said)
    if level == "empty":  # backport 1.1.0, payload types: no focus
        assert all(focus is None for _, focus in events), "%s: an empty notification names a resource" % name
        return
    for patient in {c[2] for c in wanted}:
        mine = [c for c in wanted if c[2] == patient]
        told = [(n, focus) for n, focus in events if focus in {BASE + c[0] for c in mine}]
        assert [focus for _, focus in told] == [BASE + c[0] for c in mine], "%s: not in the order of %s" % (name, patient)
        for (number, _), (reference, _, _, line) in zip(told, mine):
            if line is not None:
                assert (line in bodies[number]) == (level == "full-resource"), "%s: number %d, %s" % (name, number, reference)


def run(*arguments, seconds=120):
    done = subprocess.run([PROGRAM, "demo", "--root", kafka.ROOT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, timeout=seconds)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_demo(ctx):
    """Within two minutes, exit 0, one JSON object; an outage, a poison record, and an account that adds up."""
    out = os.path.join(ctx.home, "demo")
    code, text, err = run("--out", out, "--json")
    assert code == 0, "exit %d: %s%s" % (code, text, err)
    assert err == "" and text.count("\n") == 1, "with --json there is one line: %s%s" % (text, err)
    said = json.loads(text)
    changes = list(feed())
    matched = {i for p in said["subscribers"] for i, c in enumerate(changes) if c in due(out, p["id"])}
    counts = {"in": len(changes) + 1, "matched": len(matched), "unmatched": len(changes) - len(matched), "dead_letters": 1}
    assert said["ok"] and said["events"] == said["expected"] == counts, "%s, by the feed %s" % (said["events"], counts)
    assert sorted(p["payload"] for p in said["subscribers"]) == ["empty", "full-resource", "id-only"]
    for payer in said["subscribers"]:
        check_payer(out, payer)
    assert said["outage"]["ms"] >= 3000 and said["outage"]["caught_up_ms"] >= 0, "the outage: %s" % said["outage"]
    assert any(p["retries"] > 0 for p in said["subscribers"] if p["id"] == said["outage"]["subscriber"]), "nothing was tried again"
    with open(os.path.join(out, "dead-letters", "1.bin"), encoding="utf-8") as f:
        poison = f.read()
    assert any(c[3] and c[3] != poison and c[3].startswith(poison) for c in changes), "the dead letter is not what was sent"


def test_demo_keeps_what_is_not_its_own(ctx):
    """A folder with somebody's files is refused (exit 2) and left as it was."""
    out = os.path.join(ctx.home, "mine")
    os.mkdir(out)
    os.mkdir(os.path.join(out, "data"))
    code, text, err = run("--out", out)
    assert code == 2 and out in err, "exit %d: %s%s" % (code, text, err)
    assert os.listdir(out) == ["data"]

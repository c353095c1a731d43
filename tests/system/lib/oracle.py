"""
Who must have got what? An independent answer, and the comparison with what came.

In:    the source topics as read back, the subscriptions and rosters as the test wrote them, the endpoint's arrivals.
Out:   nothing, or an AssertionError that names the first difference.

What must come is recomputed from the sources with Python's own JSON reader and the plain rules of design.md 2 to 4; no line
is shared with the program. The order between source partitions is free: each event is laid to its partition by the
resource that it is about (one resource, one partition), and within a partition the order must be the source's. An empty
notification names no resource, so of those only the count is held.
"""
import hashlib
import json


class Change:
    """One version of one resource: where it was read, and who is named in it."""
    __slots__ = ("place", "focus", "kind", "patients", "sha", "deleted")


def changes(records, base_of):
    """Of source records as read (kafka.read_all of each topic): base_of(topic) -> FHIR base. Unreadable ones are no change."""
    found = []
    for r in records:
        c = Change()
        c.place = (r.topic, r.partition, r.offset)
        if r.value is None:
            reference, c.deleted, c.patients, c.sha = r.key.decode(), True, set(), None
        else:
            try:
                value = json.loads(r.value.decode("utf-8"))
                reference = "%s/%s" % (value["resourceType"], value["id"])
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
            c.deleted, c.sha = False, hashlib.sha256(r.value.strip()).hexdigest()
            subject = value.get("subject", {}).get("reference")
            named = {reference} if value["resourceType"] == "Patient" else {subject} if subject else set()
            c.patients = {"%s/%s" % (base_of(r.topic), p) for p in named}
        c.kind = reference.split("/")[0]
        c.focus = "%s/%s" % (base_of(r.topic), reference)
        found.append(c)
    return found


class Order:
    """A subscription as the oracle sees it. patients: a filter (absolute references), None: no filter; members likewise, None: "*"."""

    def __init__(self, sub, level, members, kinds=("Patient", "Encounter", "Observation"), patients=None):
        self.sub, self.level, self.kinds = sub, level, set(kinds)
        self.patients = None if patients is None else set(patients)
        self.members = None if members is None else set(members)

    def may(self, patients):
        return self.members is None or (bool(patients) and patients <= self.members)

    def wants(self, change):
        return change.kind in self.kinds and self.may(change.patients) and (
            self.patients is None or bool(change.patients & self.patients))


def expected(order, all_changes):
    """By (topic, partition): [(focus, sha, deleted)] in the source's order."""
    lanes, got = {}, {}
    for c in sorted(all_changes, key=lambda c: c.place):
        if c.deleted:
            # a delete names nobody: it goes to who got the last version and may still hear of the member
            wanted = got.pop(c.focus, False)
        else:
            wanted = got[c.focus] = order.wants(c)
        if wanted:
            lanes.setdefault(c.place[:2], []).append((c.focus, c.sha, c.deleted))
    return lanes


def fail(sub, text, *args):
    raise AssertionError("%s: %s" % (sub, text % args))


def accepted(arrival):
    return arrival["status"] is not None and 200 <= arrival["status"] < 300


def first_arrivals(sub, arrivals, gaps=()):
    """
    The events of a subscription by number, as first accepted, after the rules of numbering and repeating were held. What was
    refused is due again, so nothing beyond it may be sent. gaps: (from, to) that were reported as lost.
    """
    first, seen, boundaries, due = {}, {}, {}, 1
    lost = {n for low, high in gaps for n in range(low, high + 1)}
    for a in arrivals:
        if "broken" in a:
            fail(sub, "a body that is no notification: %s", a["broken"])
        if a["sub"] != sub or a["type"] != "event-notification":
            continue
        if not a["events"]:
            fail(sub, "an event-notification without events, Bundle %s", a["bundle"])
        numbers = a["numbers"]
        if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            fail(sub, "Bundle %s has numbers %s", a["bundle"], numbers)
        while due in lost and due < numbers[0]:
            due += 1
        if numbers[0] > due:
            fail(sub, "number %d came where %d was due", numbers[0], due)
        for e in a["events"]:
            if what(seen.setdefault(e["n"], e)) != what(e):
                fail(sub, "number %d came again with another content", e["n"])
            if accepted(a):
                first.setdefault(e["n"], e)
        if accepted(a):
            due = max(due, numbers[-1] + 1)
        identity = (a["bundle"], a["webhook"], a["body"])
        if boundaries.setdefault(tuple(numbers), identity) != identity:
            fail(sub, "numbers %s came again as another Bundle, webhook-id or body", numbers)
    ids = [i[0] for i in boundaries.values()]
    if len(ids) != len(set(ids)):
        fail(sub, "one Bundle.id was used for different numbers")
    return first


def what(event):
    return event["focus"], event["sha"], event["method"]


def check_event(order, n, event, focus, sha, deleted):
    if event["focus"] != focus:
        fail(order.sub, "number %d is about %s, due was %s", n, event["focus"], focus)
    if order.level == "full-resource" and not deleted:
        if event["sha"] != sha:
            fail(order.sub, "number %d: the resource's bytes are not the source's", n)
        if not event["provenance"]:
            fail(order.sub, "number %d has content without Provenance", n)
    elif event["sha"] is not None:
        fail(order.sub, "number %d has content that it must not have", n)


def after_gap(order, n, event, lane, at):
    """What was lost cannot be laid to a lane by its number: the lane goes on where the event fits."""
    for i in range(at, len(lane)):
        focus, sha, _ = lane[i]
        if event["focus"] == focus and (order.level != "full-resource" or event["sha"] == sha):
            return i
    fail(order.sub, "number %d fits no change after the ones before it", n)


def check(order, all_changes, arrivals, gaps=()):
    """Everything that `order` must have got has come, in order, and nothing else. Returns how many events were accepted again."""
    lanes = expected(order, all_changes)
    first = first_arrivals(order.sub, arrivals, gaps)
    due = sum(len(lane) for lane in lanes.values())
    total = sum(len(a["events"]) for a in arrivals
                if a.get("sub") == order.sub and a.get("type") == "event-notification" and accepted(a))
    lost = sum(high - low + 1 for low, high in gaps)
    if len(first) + lost != due:
        fail(order.sub, "%d events came and %d were reported lost, due were %d", len(first), lost, due)
    if order.level == "empty":
        for n, event in first.items():
            if event["focus"] is not None or event["sha"] is not None:
                fail(order.sub, "number %d of an empty notification names a resource", n)
        return total - len(first)
    lane_of = {focus: lane for lane, items in lanes.items() for focus, _, _ in items}
    position = dict.fromkeys(lanes, 0)
    for n in sorted(first):
        lane = lane_of.get(first[n]["focus"])
        if lane is None:
            fail(order.sub, "number %d is about %s, of which it must not hear", n, first[n]["focus"])
        if gaps:
            position[lane] = after_gap(order, n, first[n], lanes[lane], position[lane])
        if position[lane] == len(lanes[lane]):
            fail(order.sub, "number %d is one more about %s than there were changes", n, first[n]["focus"])
        check_event(order, n, first[n], *lanes[lane][position[lane]])
        position[lane] += 1
    return total - len(first)

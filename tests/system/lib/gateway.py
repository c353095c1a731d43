"""
The program under test: its configuration as a payer's and a hospital's operator would write it, and its process.

In:    a broker, a prefix, sources, subscriptions, rosters.
Out:   Site (a folder with configuration, topics, subscriptions, rosters) and Gateway (one process of it).
Owns:  the folders and the processes.

Names of options are design.md 7 and the option table; the harness knows nothing of the program's inside. Times that a
person would notice are made short by options, not by waiting less carefully.
"""
import json
import os
import re
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request

import kafka
import oracle

PROGRAM = os.environ.get("CDX_PROGRAM", os.path.join(kafka.ROOT, "build/release/cdex-push"))
BASE = "https://ehr.example.org/fhir"
API = "https://gateway.example.org/fhir/r4"
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
ANY = "http://cdex.test/topics/any"            # Patient, Encounter, Observation
CLINICAL = "http://cdex.test/topics/clinical"  # Encounter, Observation; can be filtered by patient
PARTITIONS = 4


def topic(url, kinds, filters=()):
    """A SubscriptionTopic resource (R5)."""
    made = {"resourceType": "SubscriptionTopic", "id": url.rsplit("/", 1)[-1], "url": url, "version": "1.0.0", "status": "active",
            "title": url, "description": "Any change of these resources.",
            "resourceTrigger": [{"resource": "http://hl7.org/fhir/StructureDefinition/" + kind, "description": kind,
                                 "supportedInteraction": ["create", "update", "delete"]} for kind in kinds]}
    able = [{"resource": kind, "filterParameter": name, "description": name,
                             "filterDefinition": "http://hl7.org/fhir/SearchParameter/clinical-" + name}
                            for kind in kinds for name in filters]
    if able:
        made["canFilterBy"] = able
    return made


def subscription(ident, url, level="full-resource", about=ANY, client="payer-a", filters=(), max_count=None, status="requested"):
    """A Subscription resource (R4 backport profile)."""
    extensions = [{"url": BACKPORT + "backport-max-count", "valuePositiveInt": max_count}] if max_count else []
    sub = {"resourceType": "Subscription", "id": ident,
           "meta": {"profile": [BACKPORT + "backport-subscription"], "tag": [{"system": "urn:cdex:client", "code": client}]},
           "status": status, "reason": "system test", "criteria": about,
           "channel": {"type": "rest-hook", "endpoint": url, "payload": "application/fhir+json",
                       "_payload": {"extension": [{"url": BACKPORT + "backport-payload-content", "valueCode": level}]}}}
    if extensions:
        sub["channel"]["extension"] = extensions
    if filters:
        sub["_criteria"] = {"extension": [{"url": BACKPORT + "backport-filter-criteria", "valueString": f} for f in filters]}
    return sub


class Site:
    """Everything that the processes of one installation share."""

    def __init__(self, bootstrap, prefix, sources=None, replication=1):
        self.home = tempfile.mkdtemp(prefix="cdex-site-")
        self.bootstrap, self.prefix, self.replication = bootstrap, prefix, replication
        self.kafka = {}  # more of librdkafka's properties, for the program; the harness itself uses bootstrap
        self.source = prefix[:-1] + "-ehr"
        self.sources = sources or [{"topics": [self.source], "format": "auto", "base": BASE,
                                    "organization": {"reference": "Organization/hospital", "display": "General Hospital"}}]
        self.orders, self.gateways, self.clients = {}, [], {}
        self.push = {"http": True, "allow": ["127.0.0.0/8"], "retry.schedule.ms": [200, 500, 1000], "error.after.ms": 2000,
                     "cursor.flush.ms": 100}
        self.match = {}
        for folder in ("topics", "subscriptions", "rosters"):
            os.mkdir(os.path.join(self.home, folder))
        self.write("topics/any.json", topic(ANY, oracle_kinds()))
        self.write("topics/clinical.json", topic(CLINICAL, ("Encounter", "Observation"), ("patient",)))

    def write(self, name, value):
        """Whole or not at all, as an operator's tool should."""
        path = os.path.join(self.home, name)
        with open(path + ".new", "w") as f:
            json.dump(value, f, indent=1)
        os.rename(path + ".new", path)

    def path(self, name):
        return os.path.join(self.home, name)

    def create_topics(self, sources=True):
        topics = {self.prefix + name: (PARTITIONS, config) for name, config in kafka.TOPICS.items()}
        if sources:
            topics.update({t: (PARTITIONS, {"max.message.bytes": "33554432"}) for s in self.sources for t in s["topics"]})
        kafka.create_topics(self.bootstrap, topics, self.replication)
        return self

    def roster(self, name, patients, client=None):
        """A Group file; the client of the same name is bound to it."""
        self.write("rosters/%s.json" % name, {
            "resourceType": "Group", "id": name, "type": "person", "actual": True,
            "member": [{"entity": {"reference": p if "/" in p else "Patient/" + p}} for p in patients]})
        self.clients[client or name] = name

    def subscribe(self, ident, url, level="full-resource", about=ANY, client="payer-a", patients=None, members=None, **more):
        """
        Writes the Subscription file and remembers what the oracle must know. patients: a filter by ids; members: the
        client's roster, None for "*".
        """
        filters = ["patient=" + ",".join("Patient/" + p for p in patients)] if patients is not None else ()
        self.write("subscriptions/%s.json" % ident, subscription(ident, url, level, about, client, filters, **more))
        self.clients.setdefault(client, "*")
        absolute = lambda ps: None if ps is None else [p if "://" in p else "%s/Patient/%s" % (BASE, p) for p in ps]
        kinds = oracle_kinds() if about == ANY else ("Encounter", "Observation")
        self.orders[ident] = oracle.Order(ident, level, absolute(members), kinds, absolute(patients))

    def configuration(self, instance, ops, roles):
        return {"kafka": {"bootstrap.servers": self.bootstrap, **self.kafka}, "prefix": self.prefix, "instance": instance,
                "data_dir": "data-" + instance, "partitions": PARTITIONS, "state.partitions": PARTITIONS,
                "sources": self.sources,
                "organization": {"reference": "Organization/gateway", "display": "Health Information Gateway"},
                "topics": ["topics/*.json"], "mappings": [os.path.join(kafka.ROOT, "mappings")],
                "subscriptions": ["subscriptions/*.json"], "rosters": ["rosters/*.json"],
                "clients": [{"id": c, "roster": r} for c, r in sorted(self.clients.items())],
                "api": {"base": API}, "ops": {"listen": "127.0.0.1:%d" % ops}, "match": self.match, "push": self.push,
                "roles": roles}

    def gateway(self, instance="gateway-1", roles=("match", "push")):
        gateway = Gateway(self, instance, roles)
        self.gateways.append(gateway)
        return gateway

    def statuses(self):
        """Newest status of each subscription, as its record says."""
        newest = {}
        for r in kafka.read_all(self.bootstrap, self.prefix + "subscriptions"):
            if r.key.endswith(b"#status"):
                newest[r.key[:-7].decode()] = json.loads(r.value)["status"] if r.value else None
        return newest

    def wait_active(self, seconds=60):
        kafka.wait_until("every subscription is active: %s" % sorted(self.orders), seconds,
                         lambda: all(self.statuses().get(i) == "active" for i in self.orders), 0.3)

    def changes(self):
        """What the sources hold, as the oracle reads it."""
        base = {t: s["base"] for s in self.sources for t in s["topics"]}
        records = [r for t in sorted(base) for r in kafka.read_all(self.bootstrap, t)]
        return oracle.changes(records, base.__getitem__)

    def due(self, changes=None):
        """How many events each subscription must get."""
        changes = self.changes() if changes is None else changes
        return {i: sum(map(len, oracle.expected(o, changes).values())) for i, o in self.orders.items()}

    def wait_delivered(self, sink, due, seconds=120):
        """Returns when each subscription has had that many different numbers; says what is missing when the time is up."""
        def delivered():
            sink.read()
            return all(len(sink.seen.get(i, ())) >= n for i, n in due.items())
        try:
            kafka.wait_until("all events are delivered", seconds, delivered, 0.1)
        except AssertionError as e:
            raise AssertionError("%s; missing: %s" % (e, {i: n - len(sink.seen.get(i, ())) for i, n in due.items()
                                                          if len(sink.seen.get(i, ())) < n}))

    def settle(self, sink, seconds=120, only=None):
        """Waits for all that must come, then holds every subscription against the oracle. Returns repeats by subscription."""
        changes = self.changes()
        due = {i: n for i, n in self.due(changes).items() if only is None or i in only}
        self.wait_delivered(sink, due, seconds)
        sink.read()
        return {i: oracle.check(self.orders[i], changes, sink.arrivals) for i in due}

    def dead_letters(self):
        return kafka.read_all(self.bootstrap, self.prefix + "dead-letters")

    def command(self, *arguments, seconds=60):
        """Runs `cdex-push ARGUMENTS`; returns (exit code, output, error output)."""
        done = subprocess.run([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds,
                              stdin=subprocess.DEVNULL, cwd=self.home)
        return done.returncode, done.stdout.decode(), done.stderr.decode()


def oracle_kinds():
    return ("Patient", "Encounter", "Observation")


class Gateway:
    """One process. Its log is the file `log`; every start adds to it."""

    def __init__(self, site, instance, roles):
        self.site, self.instance = site, instance
        self.ops, = kafka.free_ports(1)
        self.file = site.path("%s.json" % instance)
        self.log = site.path("%s.log" % instance)
        self.roles, self.process = list(roles), None

    def configure(self):
        self.site.write("%s.json" % self.instance, self.site.configuration(self.instance, self.ops, self.roles))

    def spawn(self):
        self.configure()
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen([PROGRAM, "run", "--config", self.file], stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                            cwd=self.site.home, preexec_fn=kafka.ends_with_us)
        return self

    def start(self, seconds=60):
        self.spawn()
        self.wait_ready(seconds)
        return self

    def get(self, path):
        """(status, text) of a GET on the ops listener; (0, reason) when it does not answer."""
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d%s" % (self.ops, path), timeout=5) as r:
                return r.status, r.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
        except OSError as e:
            return 0, str(e)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def ready(self):
        if not self.running():
            raise AssertionError("%s ended with %s before it was ready" % (self.instance, self.process.returncode))
        return self.get("/readyz")[0] == 200

    def wait_ready(self, seconds=60):
        kafka.wait_until("%s is ready" % self.instance, seconds, self.ready)

    def kill(self):
        """kill -9"""
        self.process.kill()
        self.process.wait()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait_end(self, seconds):
        """Exit code; an AssertionError when it does not end in time."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError("%s did not end within %g s" % (self.instance, seconds))

    def stop(self, seconds=10):
        """SIGTERM, and an exit code of 0 within the bound (delivery.md 11)."""
        self.terminate()
        code = self.wait_end(seconds)
        if code != 0:
            raise AssertionError("%s ended with %d after SIGTERM" % (self.instance, code))

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def rss_bytes(self):
        """Resident memory of its own: pages of the trigger-state cache's files are the system's to take back."""
        with open("/proc/%d/status" % self.process.pid) as f:
            return int(re.search(r"RssAnon:\s+(\d+)", f.read()).group(1)) * 1024

    def metrics(self):
        """Samples by name with labels, as scraped."""
        status, text = self.get("/metrics")
        if status != 200:
            raise AssertionError("/metrics answered %d" % status)
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line and line[0] != "#"}

    def log_text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def tail(self, lines=25):
        return self.log_text().splitlines()[-lines:] if os.path.exists(self.log) else []

    def end(self):
        if self.running():
            self.thaw()
            self.kill()

"""
Apache Kafka for the system tests: real brokers that can be stopped, killed and frozen, and the few calls a test needs.

In:    the jars that tests/kafka/fetch has put into build/kafka/lib; a JRE 17.
Out:   Broker (one KRaft node), Cluster (three, min.insync.replicas 2), Client (topics, produce, read).
Owns:  the processes and the temporary folders of the brokers.

The hard thing: a broker that was killed keeps its ports and its data, so that `start` brings back the same broker: the
ports are chosen once, at creation. Not the mock cluster: its transactions are not isolated.
"""
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
LIB = os.environ.get("CDX_KAFKA_LIB", os.path.join(ROOT, "build/kafka/lib"))  # another release of Kafka, by hand
JAVA = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", LIB + "/*"]


def missing():
    """What the system tests need and this machine lacks, as one sentence; None: nothing."""
    if shutil.which("java") is None:
        return "java is missing: apt-get install openjdk-17-jre-headless"
    if not os.path.exists(os.path.join(LIB, ".complete")):
        return "Kafka's jars are missing: tests/kafka/fetch"
    return None


def ends_with_us():
    """For preexec_fn: the child is killed when the test run dies, however it dies (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def free_ports(n):
    """Ports that nobody listens on now; all are held until the last is found, so they differ."""
    socks = [socket.socket() for _ in range(n)]
    try:
        for s in socks:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in socks]
    finally:
        for s in socks:
            s.close()


def least_within(seconds, measure, enough):
    """The least that is measured within so many seconds; ends when it is below `enough`."""
    end, least = time.monotonic() + seconds, measure()
    while least >= enough and time.monotonic() < end:
        time.sleep(0.2)
        least = min(least, measure())
    return least


def wait_until(what, seconds, condition, every=0.05):
    """The first true value of `condition`, asked until the bound; a bound that is passed is a failure named `what`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("not within %g s: %s" % (seconds, what))
        time.sleep(every)


class Broker:
    """One KRaft node. `voters` and `node` are given by Cluster."""

    def __init__(self, home=None, node=1, ports=None, voters=None, properties=None, replicas=1):
        self.home = home or tempfile.mkdtemp(prefix="cdex-kafka-")
        self.node = node
        self.port, self.controller = ports or free_ports(2)
        self.bootstrap = "127.0.0.1:%d" % self.port
        self.process = None
        self.log = os.path.join(self.home, "broker.log")
        self._write(voters or "1@127.0.0.1:%d" % self.controller, properties or {}, replicas)

    def _write(self, voters, properties, replicas):
        values = {
            "process.roles": "broker,controller",
            "node.id": self.node,
            "controller.quorum.voters": voters,
            "listeners": "PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d" % (self.port, self.controller),
            "controller.listener.names": "CONTROLLER",
            "log.dirs": os.path.join(self.home, "data"),
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": min(replicas, 2),
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.num.partitions": 4,
            "group.initial.rebalance.delay.ms": 0,
            "auto.create.topics.enable": "false",
            "log.cleaner.backoff.ms": 1000,
            "log.retention.check.interval.ms": 1000,
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "message.max.bytes": 33554432,
            "replica.fetch.max.bytes": 33554432,
        }
        values.update(properties)
        with open(os.path.join(self.home, "server.properties"), "w") as f:
            f.writelines("%s=%s\n" % item for item in values.items())

    def format(self, cluster_id):
        subprocess.run(JAVA + ["kafka.tools.StorageTool", "format", "--cluster-id", cluster_id,
                               "-c", os.path.join(self.home, "server.properties")],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def spawn(self):
        out = open(self.log, "ab")
        self.process = subprocess.Popen(JAVA[:1] + ["-Xmx512m"] + JAVA[1:] +
                                        ["kafka.Kafka", os.path.join(self.home, "server.properties")],
                                        stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=self.home,
                                        preexec_fn=ends_with_us)
        out.close()

    def start(self, wait=True):
        """Starts it, the first time with an empty log; returns when it answers."""
        if not os.path.exists(os.path.join(self.home, "data")):
            self.format("MkU3OEVBNTcwNTJENDM2Qk")
        self.spawn()
        if wait:
            self.wait_ready()
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError("the broker ended with %d, see %s" % (self.process.returncode, self.log))
        try:
            return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0}).list_topics(timeout=2) is not None
        except KafkaException:
            return False

    def wait_ready(self, seconds=60):
        wait_until("the broker answers", seconds, self.answers, 0.1)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def remove(self, keep=False):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        if not keep:
            shutil.rmtree(self.home, ignore_errors=True)


class Cluster:
    """Three nodes; a write needs two of them."""

    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="cdex-kafka-")
        ports = free_ports(6)
        voters = ",".join("%d@127.0.0.1:%d" % (i + 1, ports[2 * i + 1]) for i in range(3))
        self.brokers = []
        for i in range(3):
            home = os.path.join(self.home, str(i + 1))
            os.mkdir(home)
            self.brokers.append(Broker(home, i + 1, ports[2 * i:2 * i + 2], voters,
                                       {"min.insync.replicas": 2, "default.replication.factor": 3}, 3))
        self.bootstrap = ",".join(b.bootstrap for b in self.brokers)

    def start(self):
        for b in self.brokers:
            b.format("MkU3OEVBNTcwNTJENDM2Qk")
            b.spawn()
        for b in self.brokers:
            b.wait_ready()
        return self

    def stop(self):
        for b in self.brokers:
            if b.process is not None and b.process.poll() is None:
                b.kill()

    def remove(self, keep=False):
        self.stop()
        if not keep:
            shutil.rmtree(self.home, ignore_errors=True)


# -- what a test does with a broker ---------------------------------------------------------------------------------

# The topics of design section 3: name -> (cleanup, more). The harness makes them itself; `cdex-push topics` has a test of its own.
TOPICS = {
    "notifications": {"cleanup.policy": "delete", "retention.ms": "604800000", "max.message.bytes": "33554432"},
    "subscriptions": {"cleanup.policy": "compact"},
    "cursors": {"cleanup.policy": "compact"},
    "rosters": {"cleanup.policy": "compact"},
    "members": {"cleanup.policy": "compact"},
    "trigger-state": {"cleanup.policy": "compact"},
    "deliveries": {"cleanup.policy": "delete", "retention.ms": "2592000000"},
    "dead-letters": {"cleanup.policy": "delete", "retention.ms": "7776000000", "max.message.bytes": "33554432"},
}


class Record:
    """One record as read: bytes, never text."""
    __slots__ = ("topic", "partition", "offset", "key", "value", "headers", "time_ms")

    def __init__(self, message):
        self.topic, self.partition, self.offset = message.topic(), message.partition(), message.offset()
        self.key, self.value = message.key(), message.value()
        self.headers = message.headers() or []
        self.time_ms = message.timestamp()[1]

    def header(self, name):
        """The last header of that name as text, or None."""
        for key, value in reversed(self.headers):
            if key == name:
                return value.decode() if value is not None else None
        return None


def admin(bootstrap):
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})


def create_topics(bootstrap, topics, replication=1):
    """topics: name -> (partitions, config)."""
    news = [NewTopic(name, n, replication, config=dict(config)) for name, (n, config) in topics.items()]
    client = admin(bootstrap)  # kept: its futures fail when it goes
    for name, future in client.create_topics(news, operation_timeout=30).items():
        try:
            future.result(30)
        except KafkaException as e:
            if e.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def delete_topic(bootstrap, name):
    """Returns when the broker knows it no more."""
    client = admin(bootstrap)
    client.delete_topics([name], operation_timeout=30)[name].result(30)
    wait_until("topic %s is gone" % name, 30, lambda: name not in partition_counts(bootstrap))


def partition_counts(bootstrap):
    return {name: len(t.partitions) for name, t in admin(bootstrap).list_topics(timeout=20).topics.items()}


def topic_config(bootstrap, name):
    client = admin(bootstrap)
    (future,) = client.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, name)]).values()
    return {k: entry.value for k, entry in future.result(30).items()}


class Writer:
    """A producer that is kept: the first record of a new one takes up to a second (metadata)."""

    def __init__(self, bootstrap):
        self.failures = []
        self.producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 2, "log_level": 0,
                                  "message.max.bytes": 33554432, "queue.buffering.max.messages": 200000})

    def _done(self, error, message):
        if error is not None:
            self.failures.append(error)

    def write(self, topic, records):
        """records: (partition, key, value) or (partition, key, value, headers); returns when all are acknowledged."""
        for partition, key, value, *more in records:
            while True:
                try:
                    self.producer.produce(topic, value, key, partition, on_delivery=self._done, headers=more[0] if more else None)
                    break
                except BufferError:
                    self.producer.poll(0.1)
            self.producer.poll(0)
        if self.producer.flush(120) != 0 or self.failures:
            raise AssertionError("records were not acknowledged: %s" % (self.failures[:3] or "time is up"))


def produce(bootstrap, topic, records):
    Writer(bootstrap).write(topic, records)


def _reader(bootstrap, committed):
    return Consumer({"bootstrap.servers": bootstrap, "group.id": "cdex-system-test", "enable.auto.commit": False,
                     "isolation.level": "read_committed" if committed else "read_uncommitted",
                     "enable.partition.eof": True, "auto.offset.reset": "earliest", "log_level": 0,
                     "fetch.wait.max.ms": 20, "fetch.message.max.bytes": 40000000})


def read_all(bootstrap, topic, committed=True, seconds=120):
    """Every record of a topic up to its end as of now, by partition and offset."""
    consumer = _reader(bootstrap, committed)
    try:
        n = len(consumer.list_topics(topic, timeout=20).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(n)])
        records, open_partitions, end = [], set(range(n)), time.monotonic() + seconds
        while open_partitions:
            if time.monotonic() > end:
                raise AssertionError("%s was not read to its end within %g s" % (topic, seconds))
            for message in consumer.consume(1000, 0.2):
                if message.error() is None:
                    records.append(Record(message))
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    open_partitions.discard(message.partition())
                else:
                    raise KafkaException(message.error())
        records.sort(key=lambda r: (r.partition, r.offset))
        return records
    finally:
        consumer.close()


def bounds(bootstrap, topic, partition):
    """First offset of the log, and its end."""
    consumer = _reader(bootstrap, True)
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)
    finally:
        consumer.close()


def committed(bootstrap, group, topic, partitions):
    """Committed offsets of a group by partition; None: none."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False,
                         "isolation.level": "read_committed", "log_level": 0})
    try:
        places = consumer.committed([TopicPartition(topic, p) for p in range(partitions)], timeout=40)
        return {p.partition: p.offset if p.offset >= 0 else None for p in places}
    finally:
        consumer.close()


def delete_records(bootstrap, topic, partition, before):
    """
    Moves the log's start of a partition, as retention would. confluent-kafka 1.7.0 has no call for it; the librdkafka
    under it has.
    """
    rk = ctypes.CDLL("librdkafka.so.1")
    for name in ("conf_new", "new", "queue_new", "queue_poll", "topic_partition_list_new", "topic_partition_list_add",
                 "DeleteRecords_new", "event_error_string", "event_DeleteRecords_result",
                 "DeleteRecords_result_offsets"):
        getattr(rk, "rd_kafka_" + name).restype = ctypes.c_void_p
    pointer, text, array = ctypes.c_void_p, ctypes.create_string_buffer(512), (ctypes.c_void_p * 1)
    conf = pointer(rk.rd_kafka_conf_new())
    for name, value in (("bootstrap.servers", bootstrap), ("log_level", "0")):
        if rk.rd_kafka_conf_set(conf, name.encode(), value.encode(), text, 512) != 0:
            raise AssertionError(text.value.decode())
    handle = pointer(rk.rd_kafka_new(0, conf, text, 512))
    queue = pointer(rk.rd_kafka_queue_new(handle))
    places = pointer(rk.rd_kafka_topic_partition_list_new(1))
    rk.rd_kafka_topic_partition_list_add(places, topic.encode(), partition)
    rk.rd_kafka_topic_partition_list_set_offset(places, topic.encode(), partition, ctypes.c_int64(before))
    request = array(rk.rd_kafka_DeleteRecords_new(places))
    rk.rd_kafka_DeleteRecords(handle, request, ctypes.c_size_t(1), None, queue)
    event = pointer(rk.rd_kafka_queue_poll(queue, 30000))
    try:
        if not event:
            raise AssertionError("DeleteRecords was not answered")
        if rk.rd_kafka_event_error(event) != 0:
            raise AssertionError(ctypes.string_at(rk.rd_kafka_event_error_string(event)).decode())
    finally:
        rk.rd_kafka_event_destroy(event)
        rk.rd_kafka_DeleteRecords_destroy(pointer(request[0]))
        rk.rd_kafka_topic_partition_list_destroy(places)
        rk.rd_kafka_queue_destroy(queue)
        rk.rd_kafka_destroy(handle)
    start, _ = bounds(bootstrap, topic, partition)
    if start != before:
        raise AssertionError("the start of %s/%d is %d, not %d" % (topic, partition, start, before))

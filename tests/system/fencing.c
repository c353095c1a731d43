/*
 * tests/system/fencing.c -- does a real broker refuse a zombie's cursor flush? (recovery.md, correction C1)
 *
 * In:    bootstrap.servers of an Apache Kafka broker, as the one argument.
 * Out:   one line per claim, "ok" or "not ok", with librdkafka's names of the errors seen; exit 0 only if all hold.
 * Owns:  a log topic and a cursor topic of its own per claim; processes that play the owners of the log's partition.
 *
 * An owner is a process, not a thread: librdkafka goes on sending heartbeats from threads of its own, so only a stopped
 * process loses its session. The driver tells owners what to do over pipes, one word a line, one answer a line. Not the
 * mock cluster: it accepts transactions without isolating or fencing them.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

#define SESSION_MS                                                                                 \
    "6000"              /* group.min.session.timeout.ms of the broker: no shorter one is accepted */
#define ANSWER_MS 60000 /* bound of every wait for an owner */
#define PENDING_MS 2000 /* for so long an answer must stay out to be called waiting */
#define LINE_BYTES 512

static const char *bootstrap;
static int failed;

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "fencing: %s: %s\n", what, why);
    exit(2);
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf,
                          const char *const (*properties)[2], size_t n)
{
    char errstr[256];
    rd_kafka_t *rk;

    for (size_t i = 0; i < n; i++)
        if (properties[i][1] != NULL &&
            rd_kafka_conf_set(conf, properties[i][0], properties[i][1], errstr, sizeof errstr) !=
                RD_KAFKA_CONF_OK)
            die(properties[i][0], errstr);
    rk = rd_kafka_new(type, conf, errstr, sizeof errstr);
    if (rk == NULL)
        die("client", errstr);
    return rk;
}
#define CLIENT(type, conf, ...)                                                                    \
    client(type, conf, (const char *const[][2]){__VA_ARGS__},                                      \
           sizeof(const char *const[][2]){__VA_ARGS__} / sizeof(const char *const[2]))

/* -- an owner ------------------------------------------------------------------------------------------------------ */

struct owner {
    const char *log, *cursors; /* topics */
    rd_kafka_t *consumer, *producer;
    rd_kafka_consumer_group_metadata_t *assigned; /* of the newest assignment, until taken */
    rd_kafka_consumer_group_metadata_t *metadata; /* what flushes carry */
    bool lost;                                    /* the newest revocation was a loss */
    rd_kafka_resp_err_t delivered;                /* of the record in the open transaction */
};

static void answer(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void answer(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
}

static void answer_error(rd_kafka_error_t *error)
{
    if (error == NULL) {
        answer("ok");
        return;
    }
    answer("error %s%s%s%s: %s", rd_kafka_error_name(error),
           rd_kafka_error_is_fatal(error) ? " fatal" : "",
           rd_kafka_error_txn_requires_abort(error) ? " abortable" : "",
           rd_kafka_error_is_retriable(error) ? " retriable" : "", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *msg, void *opaque)
{
    struct owner *o = opaque;

    (void)rk;
    o->delivered = msg->err;
}

static void owner_assign(struct owner *o, const char *arg)
{
    int64_t end = now_ms() + ANSWER_MS;
    rd_kafka_topic_partition_list_t *list = NULL;
    int n = 0;

    (void)arg;
    while (n == 0 && now_ms() < end) {
        rd_kafka_message_t *msg = rd_kafka_consumer_poll(o->consumer, 100);

        if (msg != NULL)
            rd_kafka_message_destroy(msg);
        if (rd_kafka_assignment(o->consumer, &list) == RD_KAFKA_RESP_ERR_NO_ERROR) {
            n = list->cnt;
            rd_kafka_topic_partition_list_destroy(list);
        }
    }
    answer(n > 0 ? "ok" : "error no assignment");
}

/* The consumer answers a rebalance only when it is polled; the metadata of an assignment is what it is at its start. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                         rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct owner *o = opaque;

    if (err != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        o->lost = rd_kafka_assignment_lost(rk);
        rd_kafka_assign(rk, NULL);
        return;
    }
    if (o->assigned != NULL)
        rd_kafka_consumer_group_metadata_destroy(o->assigned);
    o->assigned = rd_kafka_consumer_group_metadata(rk);
    rd_kafka_assign(rk, list);
}

/* The generation inside the metadata: "CGMDv2:", then an int32, then texts (rd_kafka_consumer_group_metadata_write). */
static void owner_use(struct owner *o, rd_kafka_consumer_group_metadata_t *metadata)
{
    void *bytes = NULL;
    size_t n = 0;
    int32_t generation = -1;
    const char *group, *member;

    if (metadata == NULL) {
        answer("error no metadata");
        return;
    }
    if (o->metadata != NULL)
        rd_kafka_consumer_group_metadata_destroy(o->metadata);
    o->metadata = metadata;
    rd_kafka_error_destroy(rd_kafka_consumer_group_metadata_write(metadata, &bytes, &n));
    if (n < 13)
        die("metadata", "shorter than its head");
    memcpy(&generation, (char *)bytes + 7, sizeof generation);
    group = (char *)bytes + 11;
    member = group + strlen(group) + 1;
    answer("ok generation %" PRId32 " member '%s'", generation, member);
    free(bytes);
}

/* The metadata of the newest assignment; each is taken once. */
static void owner_take(struct owner *o, const char *arg)
{
    rd_kafka_consumer_group_metadata_t *metadata = o->assigned;

    (void)arg;
    o->assigned = NULL;
    owner_use(o, metadata);
}

/* What the consumer gives out at this moment. */
static void owner_ask(struct owner *o, const char *arg)
{
    (void)arg;
    owner_use(o, rd_kafka_consumer_group_metadata(o->consumer));
}

/* Metadata of the group without a member, as a client that takes no part in group management sends it. */
static void owner_anonymous(struct owner *o, const char *arg)
{
    owner_use(o, rd_kafka_consumer_group_metadata_new(arg));
}

static void owner_poll(struct owner *o, const char *arg)
{
    int64_t end = now_ms() + strtoll(arg, NULL, 10);

    while (now_ms() < end) {
        rd_kafka_message_t *msg = rd_kafka_consumer_poll(o->consumer, 100);

        if (msg != NULL)
            rd_kafka_message_destroy(msg);
    }
    answer("ok lost %d", o->lost);
}

static void owner_begin(struct owner *o, const char *arg)
{
    rd_kafka_error_t *error = rd_kafka_begin_transaction(o->producer);
    rd_kafka_resp_err_t err;

    if (error != NULL) {
        answer_error(error);
        return;
    }
    o->delivered = RD_KAFKA_RESP_ERR__IN_PROGRESS;
    err = rd_kafka_producev(o->producer, RD_KAFKA_V_TOPIC(o->cursors), RD_KAFKA_V_PARTITION(0),
                            RD_KAFKA_V_KEY("s", 1),
                            RD_KAFKA_V_VALUE((void *)(uintptr_t)arg, strlen(arg)),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    for (int64_t end = now_ms() + 15000;
         err == 0 && o->delivered == RD_KAFKA_RESP_ERR__IN_PROGRESS && now_ms() < end;)
        rd_kafka_poll(o->producer, 50);
    if (err == 0)
        err = o->delivered;
    if (err == 0)
        answer("ok");
    else
        answer("error %s: record", rd_kafka_err2name(err));
}

static void owner_offsets(struct owner *o, const char *arg)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_error_t *error;

    rd_kafka_topic_partition_list_add(list, o->log, 0)->offset = strtoll(arg, NULL, 10);
    error = rd_kafka_send_offsets_to_transaction(o->producer, list, o->metadata, 15000);
    rd_kafka_topic_partition_list_destroy(list);
    answer_error(error);
}

static void owner_commit(struct owner *o, const char *arg)
{
    (void)arg;
    answer_error(rd_kafka_commit_transaction(o->producer, 15000));
}

static void owner_abort(struct owner *o, const char *arg)
{
    (void)arg;
    answer_error(rd_kafka_abort_transaction(o->producer, 15000));
}

static void owner_committed(struct owner *o, const char *arg)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_resp_err_t err;

    rd_kafka_topic_partition_list_add(list, o->log, 0);
    err = rd_kafka_committed(o->consumer, list, (int)strtol(arg, NULL, 10));
    if (err == 0)
        err = list->elems[0].err;
    if (err == 0)
        answer("ok %" PRId64, list->elems[0].offset);
    else
        answer("error %s", rd_kafka_err2name(err));
    rd_kafka_topic_partition_list_destroy(list);
}

/* What the consumer knows of itself by now, having been polled until it says something or for the given time. */
static void owner_state(struct owner *o, const char *arg)
{
    char errstr[256] = "";
    rd_kafka_resp_err_t err = 0;
    bool lost = false;

    for (int64_t end = now_ms() + strtoll(arg, NULL, 10); err == 0 && !lost && now_ms() < end;) {
        struct timespec ts = {.tv_nsec = 20000000};

        nanosleep(&ts, NULL); /* not a poll of the consumer: that would serve its rebalance */
        err = rd_kafka_fatal_error(o->consumer, errstr, sizeof errstr);
        lost = rd_kafka_assignment_lost(o->consumer);
    }
    answer("ok fatal %s, assignment lost %d", err ? rd_kafka_err2name(err) : "none", lost);
}

/* Out of the group, as a dynamic member leaves at unsubscribe; a static one stays until its session ends. */
static void owner_leave(struct owner *o, const char *arg)
{
    (void)arg;
    rd_kafka_unsubscribe(o->consumer);
    owner_poll(o, "1000");
}

static const struct {
    const char *word;
    void (*run)(struct owner *o, const char *arg);
} words[] = {
    {"assign", owner_assign},       {"poll", owner_poll},
    {"take", owner_take},           {"ask", owner_ask},
    {"begin", owner_begin},         {"offsets", owner_offsets},
    {"anonymous", owner_anonymous}, {"commit", owner_commit},
    {"abort", owner_abort},         {"state", owner_state},
    {"committed", owner_committed}, {"leave", owner_leave},
};

/* argv: PROGRAM owner BOOTSTRAP GROUP LOG CURSORS INSTANCE|- TRANSACTIONAL-ID TRANSACTION-TIMEOUT */
static int owner_main(char **argv)
{
    struct owner o = {.log = argv[4], .cursors = argv[5]};
    const char *instance = strcmp(argv[6], "-") == 0 ? NULL : argv[6];
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_error_t *error;
    char line[LINE_BYTES];

    rd_kafka_conf_set_opaque(conf, &o);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    o.consumer = CLIENT(
        RD_KAFKA_CONSUMER, conf, {"bootstrap.servers", argv[2]}, {"group.id", argv[3]},
        {"group.instance.id", instance}, {"session.timeout.ms", SESSION_MS},
        {"heartbeat.interval.ms", "500"}, {"enable.auto.commit", "false"}, {"log_level", "0"},
        {"enable.auto.offset.store", "false"}, {"isolation.level", "read_committed"},
        {"auto.offset.reset", "earliest"}, {"partition.assignment.strategy", "range"});
    rd_kafka_poll_set_consumer(o.consumer);
    conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, &o);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    o.producer = CLIENT(RD_KAFKA_PRODUCER, conf, {"bootstrap.servers", argv[2]},
                        {"transactional.id", argv[7]}, {"transaction.timeout.ms", argv[8]},
                        {"message.timeout.ms", "8000"}, {"retry.backoff.ms", "2"},
                        {"linger.ms", "0"}, {"log_level", "0"});
    error = rd_kafka_init_transactions(o.producer, 30000);
    if (error != NULL) {
        answer_error(error);
        return 1;
    }
    rd_kafka_topic_partition_list_add(list, o.log, RD_KAFKA_PARTITION_UA);
    rd_kafka_subscribe(o.consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    answer("ok");
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *arg = line + strcspn(line, " \n");
        bool more = *arg == ' ';

        *arg++ = '\0';
        if (more)
            arg[strcspn(arg, "\n")] = '\0';
        else
            arg = line + strlen(line);
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (strcmp(words[i].word, line) == 0)
                words[i].run(&o, arg);
    }
    _exit(0); /* as a process that is gone: no leave-group, no abort */
}

/* -- the driver ---------------------------------------------------------------------------------------------------- */

struct claim {
    char group[64], log[96], cursors[96];
};

struct handle {
    pid_t pid;
    FILE *to;
    int from;
    char line[LINE_BYTES]; /* the last answer */
};

/* The answer, or NULL when there is none within `ms`. */
static const char *hear(struct handle *h, int ms)
{
    size_t n = 0;
    int64_t end = now_ms() + ms;

    while (n < sizeof h->line - 1) {
        struct pollfd pfd = {.fd = h->from, .events = POLLIN};
        int64_t left = end - now_ms();

        if (poll(&pfd, 1, left > 0 ? (int)left : 0) <= 0)
            return NULL;
        if (read(h->from, h->line + n, 1) != 1) {
            snprintf(h->line, sizeof h->line, "gone");
            return h->line;
        }
        if (h->line[n++] == '\n')
            break;
    }
    h->line[n - 1] = '\0';
    return h->line;
}

static void say(struct handle *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct handle *h, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(h->to, fmt, ap);
    va_end(ap);
    fputc('\n', h->to);
    fflush(h->to);
}

static const char *heard(struct handle *h)
{
    const char *line = hear(h, ANSWER_MS);

    return line != NULL ? line : "no answer";
}

#define ASK(h, ...) (say(h, __VA_ARGS__), heard(h))

static bool is_ok(const char *line)
{
    return strncmp(line, "ok", 2) == 0;
}

static struct handle owner_start(const struct claim *c, const char *instance, const char *txid,
                                 const char *txn_timeout)
{
    int to[2], from[2];
    struct handle h = {0};
    char id[128];

    snprintf(id, sizeof id, "%s.%s", c->group, txid);
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
        die("owner", "pipe");
    h.pid = fork();
    if (h.pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        execl("/proc/self/exe", "fencing", "owner", bootstrap, c->group, c->log, c->cursors,
              instance, id, txn_timeout, (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    h.to = fdopen(to[1], "w");
    h.from = from[0];
    if (!is_ok(heard(&h)))
        die("owner", h.line);
    return h;
}

static void owner_end(struct handle *h)
{
    kill(h->pid, SIGKILL);
    waitpid(h->pid, NULL, 0);
    fclose(h->to);
    close(h->from);
}

static void topics_make(const struct claim *c)
{
    rd_kafka_t *rk = CLIENT(RD_KAFKA_PRODUCER, rd_kafka_conf_new(),
                            {"bootstrap.servers", bootstrap}, {"log_level", "0"});
    rd_kafka_queue_t *q = rd_kafka_queue_new(rk);
    char errstr[256];
    rd_kafka_NewTopic_t *topics[2] = {
        rd_kafka_NewTopic_new(c->log, 1, 1, errstr, sizeof errstr),
        rd_kafka_NewTopic_new(c->cursors, 1, 1, errstr, sizeof errstr)};
    rd_kafka_event_t *ev;
    size_t n;
    const rd_kafka_topic_result_t **results;

    rd_kafka_CreateTopics(rk, topics, 2, NULL, q);
    ev = rd_kafka_queue_poll(q, 30000);
    if (ev == NULL || rd_kafka_event_error(ev))
        die("create topics", ev ? rd_kafka_event_error_string(ev) : "no answer");
    results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(ev), &n);
    for (size_t i = 0; i < n; i++)
        if (rd_kafka_topic_result_error(results[i]))
            die(rd_kafka_topic_result_name(results[i]),
                rd_kafka_topic_result_error_string(results[i]));
    rd_kafka_event_destroy(ev);
    rd_kafka_NewTopic_destroy_array(topics, 2);
    rd_kafka_queue_destroy(q);
    rd_kafka_destroy(rk);
}

/* The values that read_committed sees in the cursor topic up to its end, joined by ','. */
static void visible(const struct claim *c, char *out, size_t cap)
{
    rd_kafka_t *rk = CLIENT(RD_KAFKA_CONSUMER, rd_kafka_conf_new(),
                            {"bootstrap.servers", bootstrap}, {"group.id", "reader"},
                            {"isolation.level", "read_committed"}, {"enable.partition.eof", "true"},
                            {"enable.auto.commit", "false"}, {"log_level", "0"});
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    bool end = false;

    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_add(list, c->cursors, 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(rk, list);
    out[0] = '\0';
    for (int64_t until = now_ms() + ANSWER_MS; !end && now_ms() < until;) {
        rd_kafka_message_t *msg = rd_kafka_consumer_poll(rk, 200);

        if (msg == NULL)
            continue;
        end = msg->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (msg->err == 0)
            snprintf(out + strlen(out), cap - strlen(out), "%s%.*s", out[0] ? "," : "",
                     (int)msg->len, (char *)msg->payload);
        rd_kafka_message_destroy(msg);
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
    if (!end)
        die("read", "the cursor topic's end was not reached");
}

static bool sees(const struct claim *c, const char *expected)
{
    char values[LINE_BYTES];

    visible(c, values, sizeof values);
    if (strcmp(values, expected) == 0)
        return true;
    printf("#   read_committed sees '%s', not '%s'\n", values, expected);
    return false;
}

static bool flush(struct handle *h, const char *value)
{
    return is_ok(ASK(h, "begin %s", value)) && is_ok(ASK(h, "offsets %s", value)) &&
           is_ok(ASK(h, "commit"));
}

static void report(bool holds, const char *claim)
{
    printf("%s %s\n", holds ? "ok" : "not ok", claim);
    fflush(stdout);
    failed += !holds;
}

static void note(const char *what, const char *line)
{
    printf("#   %s: %s\n", what, line);
}

static void freeze(struct handle *h)
{
    kill(h->pid, SIGSTOP);
    waitpid(h->pid, NULL, WUNTRACED);
}

static void thaw(struct handle *h)
{
    kill(h->pid, SIGCONT);
}

static struct claim claim_make(const char *name)
{
    struct claim c;

    snprintf(c.group, sizeof c.group, "fence%d.%s", (int)getpid(), name);
    snprintf(c.log, sizeof c.log, "%s.log", c.group);
    snprintf(c.cursors, sizeof c.cursors, "%s.cursors", c.group);
    topics_make(&c);
    return c;
}

/* -- the claims ---------------------------------------------------------------------------------------------------- */

static void current_member_commits(void)
{
    struct claim c = claim_make("current");
    struct handle a = owner_start(&c, "a", "a", "10000");
    bool holds =
        is_ok(ASK(&a, "assign")) && is_ok(ASK(&a, "take")) && flush(&a, "1") && flush(&a, "2");

    report(holds && strcmp(ASK(&a, "committed 10000"), "ok 2") == 0 && sees(&c, "1,2"),
           "1 the current member's flush commits, records and group offset together");
    owner_end(&a);
}

/* `a` is frozen until its session is over and `b` owns the partition and has flushed 5; `a` wakes with what it had. */
static bool takes_over(struct claim *c, struct handle *a, struct handle *b, const char *b_instance)
{
    freeze(a);
    *b = owner_start(c, b_instance, "b", "10000");
    return is_ok(ASK(b, "assign")) && is_ok(ASK(b, "take")) && flush(b, "5");
}

static void old_generation_is_refused(const char *name, const char *a_instance,
                                      const char *b_instance, const char *text)
{
    struct claim c = claim_make(name);
    struct handle a = owner_start(&c, a_instance, "a", "60000"), b;
    bool holds = is_ok(ASK(&a, "assign")) && is_ok(ASK(&a, "take")) && flush(&a, "1") &&
                 takes_over(&c, &a, &b, b_instance);

    thaw(&a);
    holds = holds && is_ok(ASK(&a, "begin 2"));
    say(&a, "offsets 2");
    holds = !is_ok(heard(&a)) && holds;
    note("send_offsets_to_transaction", a.line);
    holds = !is_ok(ASK(&a, "commit")) && holds;
    note("commit_transaction after it", a.line);
    note("abort_transaction after it", ASK(&a, "abort"));
    holds = strcmp(ASK(&b, "committed 20000"), "ok 5") == 0 && sees(&c, "1,5") && holds;
    note("the producer's next flush with the same old metadata: begin", ASK(&a, "begin 3"));
    note("  offsets", ASK(&a, "offsets 3"));
    ASK(&a, "abort");
    note("the old consumer", ASK(&a, "state 5000"));
    report(holds, text);
    owner_end(&a);
    owner_end(&b);
}

/* The flush was begun, its record written, before the freeze; its offsets are sent after it. */
static void open_flush_is_refused(void)
{
    struct claim c = claim_make("open");
    struct handle a = owner_start(&c, "a", "a", "60000"), b;
    bool holds = is_ok(ASK(&a, "assign")) && is_ok(ASK(&a, "take")) && flush(&a, "1") &&
                 is_ok(ASK(&a, "begin 2")) && takes_over(&c, &a, &b, "b");

    thaw(&a);
    holds = !is_ok(ASK(&a, "offsets 2")) && holds;
    note("send_offsets_to_transaction", a.line);
    note("abort_transaction after it", ASK(&a, "abort"));
    report(
        strcmp(ASK(&b, "committed 20000"), "ok 5") == 0 && sees(&c, "1,5") && holds,
        "2c a flush begun before the member was replaced, offsets sent after: refused, nothing visible");
    owner_end(&a);
    owner_end(&b);
}

/* The offsets were accepted while `a` was the member; what then becomes of the transaction, `b` has to wait for. */
static void owner_waits_for_decision(const char *name, const char *decision, const char *expected,
                                     const char *values, const char *text)
{
    struct claim c = claim_make(name);
    struct handle a = owner_start(&c, "a", "a", "60000"), b;
    bool holds = is_ok(ASK(&a, "assign")) && is_ok(ASK(&a, "take")) && flush(&a, "1") &&
                 is_ok(ASK(&a, "begin 2")) && is_ok(ASK(&a, "offsets 2"));
    int64_t start;

    freeze(&a);
    b = owner_start(&c, "b", "b", "10000");
    holds = is_ok(ASK(&b, "assign")) && holds;
    start = now_ms();
    note("committed() with a bound of 1 s while undecided", ASK(&b, "committed 1000"));
    printf("#   it returned after %" PRId64 " ms\n", now_ms() - start);
    holds = !is_ok(b.line) && holds;
    say(&b, "committed 40000");
    holds = hear(&b, PENDING_MS) == NULL && holds;
    thaw(&a);
    holds = is_ok(ASK(&a, "%s", decision)) && holds;
    note(decision, a.line);
    start = now_ms();
    holds = strcmp(heard(&b), expected) == 0 && holds;
    note("committed() of the new owner", b.line);
    printf("#   it answered %" PRId64 " ms after the decision\n", now_ms() - start);
    report(sees(&c, values) && holds, text);
    owner_end(&a);
    owner_end(&b);
}

/* Nobody decides: the broker aborts at transaction.timeout.ms, found by a check every 10 s. */
static void owner_waits_for_timeout(void)
{
    struct claim c = claim_make("gone");
    struct handle a = owner_start(&c, "a", "a", "10000"), b;
    bool holds = is_ok(ASK(&a, "assign")) && is_ok(ASK(&a, "take")) && flush(&a, "1") &&
                 is_ok(ASK(&a, "begin 2")) && is_ok(ASK(&a, "offsets 2"));
    int64_t start = now_ms();

    owner_end(&a);
    b = owner_start(&c, "b", "b", "10000");
    holds = is_ok(ASK(&b, "assign")) && holds;
    printf("#   assigned %" PRId64 " ms after the kill\n", now_ms() - start);
    holds = strcmp(ASK(&b, "committed 40000"), "ok 1") == 0 && holds;
    note("committed() of the new owner", b.line);
    printf("#   answered %" PRId64 " ms after the kill\n", now_ms() - start);
    report(sees(&c, "1") && holds,
           "3c a flush that nobody decides (kill -9): committed() waits for the broker's abort");
    owner_end(&b);
}

/* kill -9 and a restart under the same names: init_transactions aborts what is open at once. */
static void restart_decides_at_once(void)
{
    struct claim c = claim_make("restart");
    struct handle a = owner_start(&c, "a", "a", "10000"), b;
    bool holds = is_ok(ASK(&a, "assign")) && is_ok(ASK(&a, "take")) && flush(&a, "1") &&
                 is_ok(ASK(&a, "begin 2")) && is_ok(ASK(&a, "offsets 2"));
    int64_t start = now_ms();

    owner_end(&a);
    b = owner_start(&c, "a", "a", "10000");
    printf("#   init_transactions done %" PRId64 " ms after the kill\n", now_ms() - start);
    holds = is_ok(ASK(&b, "assign")) && holds;
    printf("#   assigned after %" PRId64 " ms\n", now_ms() - start);
    holds = strcmp(ASK(&b, "committed 40000"), "ok 1") == 0 && holds;
    printf("#   committed() answered after %" PRId64 " ms\n", now_ms() - start);
    holds = is_ok(ASK(&b, "take")) && flush(&b, "3") && holds;
    report(
        sees(&c, "1,3") && holds,
        "3d kill -9 in a flush, same instance back: its init_transactions aborts the open flush");
    owner_end(&b);
}

static void second_instance_fences(const char *name, const char *txid, const char *text)
{
    struct claim c = claim_make(name);
    struct handle a = owner_start(&c, "a", "a", "60000"), b;
    bool holds = is_ok(ASK(&a, "assign")) && is_ok(ASK(&a, "take")) && flush(&a, "1");

    b = owner_start(&c, "a", txid, "60000");
    holds = is_ok(ASK(&b, "assign")) && is_ok(ASK(&b, "take")) && flush(&b, "5") && holds;
    note("the old consumer", ASK(&a, "state 10000"));
    note("begin and produce by the old handle", ASK(&a, "begin 2"));
    holds = !is_ok(ASK(&a, "offsets 2")) && holds;
    note("send_offsets_to_transaction", a.line);
    holds = !is_ok(ASK(&a, "commit")) && holds;
    note("commit_transaction after it", a.line);
    note("abort_transaction after it", ASK(&a, "abort"));
    report(strcmp(ASK(&b, "committed 20000"), "ok 5") == 0 && sees(&c, "1,5") && holds, text);
    owner_end(&a);
    owner_end(&b);
}

/* The member is alive and went through the rebalance; only its flush is of before. `z` sorts behind `b`, so `b` gets the partition. */
static void flush_across_rebalance_is_refused(void)
{
    struct claim c = claim_make("across");
    struct handle a = owner_start(&c, "z", "a", "60000"), b;
    bool holds = is_ok(ASK(&a, "assign")) && is_ok(ASK(&a, "take")) && flush(&a, "1") &&
                 is_ok(ASK(&a, "begin 2"));

    b = owner_start(&c, "b", "b", "10000");
    say(&a, "poll 8000");
    holds = is_ok(ASK(&b, "assign")) && is_ok(ASK(&b, "take")) && flush(&b, "5") && holds;
    note("the old owner, polled", heard(&a));
    holds = !is_ok(ASK(&a, "offsets 2")) && holds;
    note("send_offsets_to_transaction with the metadata of the assignment", a.line);
    note("abort_transaction after it", ASK(&a, "abort"));
    report(
        strcmp(ASK(&b, "committed 20000"), "ok 5") == 0 && sees(&c, "1,5") && holds,
        "2d a live member's flush with the metadata of the assignment before the rebalance: refused");
    holds = is_ok(ASK(&a, "ask"));
    note("the same member's metadata of now", a.line);
    ASK(&a, "begin 3");
    holds = is_ok(ASK(&a, "offsets 3")) && is_ok(ASK(&a, "commit")) && holds;
    report(
        holds && strcmp(ASK(&b, "committed 20000"), "ok 3") == 0,
        "5c hazard: metadata of now, not of the assignment, is accepted for a partition that another member owns");
    owner_end(&a);
    owner_end(&b);
}

/* A lost member that is not polled: has librdkafka joined anew behind its back? */
static void lost_member_asks_anew(void)
{
    struct claim c = claim_make("anew");
    struct handle a = owner_start(&c, "a", "a", "60000"), b;
    bool holds = is_ok(ASK(&a, "assign")) && is_ok(ASK(&a, "take")) && flush(&a, "1") &&
                 takes_over(&c, &a, &b, "b");

    thaw(&a);
    note("the lost consumer, not polled", ASK(&a, "state 5000"));
    note("metadata that it gives out now", ASK(&a, "ask"));
    ASK(&a, "begin 2");
    holds = !is_ok(ASK(&a, "offsets 2")) && holds;
    note("a flush with that: send_offsets_to_transaction", a.line);
    note("  commit", ASK(&a, "commit"));
    ASK(&a, "abort");
    report(strcmp(ASK(&b, "committed 20000"), "ok 5") == 0 && holds,
           "5a metadata asked of a member that lost its group and was not polled since is refused");
    owner_end(&a);
    owner_end(&b);
}

/* What the flush code must never do, for the broker does not refuse it: it is a rule of ours. */
static void metadata_without_member_is_accepted(void)
{
    struct claim c = claim_make("anonymous");
    struct handle a = owner_start(&c, "a", "a", "60000"), b;
    bool holds = is_ok(ASK(&a, "assign")) && is_ok(ASK(&a, "take")) && flush(&a, "1") &&
                 takes_over(&c, &a, &b, "b");

    thaw(&a);
    holds = is_ok(ASK(&a, "anonymous %s", c.group)) && is_ok(ASK(&a, "begin 3")) &&
            is_ok(ASK(&a, "offsets 3")) && is_ok(ASK(&a, "commit")) && holds;
    report(
        holds && strcmp(ASK(&b, "committed 20000"), "ok 3") == 0,
        "5b hazard: metadata without a member (consumer_group_metadata_new) is accepted, whoever owns the partition");
    owner_end(&a);
    owner_end(&b);
}

/* Everybody has left: is a former member refused by an empty group too? */
static void empty_group_refuses_old_member(void)
{
    struct claim c = claim_make("empty");
    struct handle a = owner_start(&c, "a", "a", "60000"), b;
    bool holds = is_ok(ASK(&a, "assign")) && is_ok(ASK(&a, "take")) && flush(&a, "1") &&
                 takes_over(&c, &a, &b, "b");

    owner_end(&b);
    b = owner_start(&c, "-", "c", "10000"); /* joins when b's session is over, and goes */
    holds = is_ok(ASK(&b, "assign")) && is_ok(ASK(&b, "leave")) && holds;
    holds = is_ok(ASK(&b, "committed 20000")) && holds;
    thaw(&a);
    ASK(&a, "begin 2");
    holds = !is_ok(ASK(&a, "offsets 2")) && holds;
    note("send_offsets_to_transaction", a.line);
    ASK(&a, "abort");
    report(sees(&c, "1,5") && holds, "2e an empty group refuses a former member's flush too");
    owner_end(&a);
    owner_end(&b);
}

/* The broker ends a transaction that stayed open longer than transaction.timeout.ms (checked every 10 s). */
static void timed_out_flush_is_refused(void)
{
    struct claim c = claim_make("slow");
    struct handle a = owner_start(&c, "a", "a", "10000"), b;
    bool holds = is_ok(ASK(&a, "assign")) && is_ok(ASK(&a, "take")) && flush(&a, "1") &&
                 is_ok(ASK(&a, "begin 2")) && is_ok(ASK(&a, "offsets 2"));

    freeze(&a);
    b = owner_start(&c, "b", "b", "10000");
    holds = is_ok(ASK(&b, "assign")) && strcmp(ASK(&b, "committed 40000"), "ok 1") == 0 && holds;
    thaw(&a);
    holds = !is_ok(ASK(&a, "commit")) && holds;
    note("commit_transaction of the timed-out flush", a.line);
    note("abort_transaction after it", ASK(&a, "abort"));
    note("begin after it", ASK(&a, "begin 3"));
    note("offsets after it", ASK(&a, "offsets 3"));
    report(sees(&c, "1") && holds, "6 a flush that the broker has timed out cannot be committed");
    owner_end(&a);
    owner_end(&b);
}

int main(int argc, char **argv)
{
    if (argc == 9 && strcmp(argv[1], "owner") == 0)
        return owner_main(argv);
    if (argc != 2) {
        fprintf(stderr, "usage: fencing BOOTSTRAP\n");
        return 2;
    }
    bootstrap = argv[1];
    signal(SIGPIPE, SIG_IGN);
    current_member_commits();
    old_generation_is_refused(
        "static", "a", "b",
        "2a a static member past its session, replaced: its flush is refused, nothing visible");
    old_generation_is_refused(
        "dynamic", "-", "-",
        "2b a dynamic member past its session, replaced: its flush is refused, nothing visible");
    open_flush_is_refused();
    owner_waits_for_decision(
        "commits", "commit", "ok 2", "1,2",
        "3a the new owner's committed() waits for the open flush and sees its commit");
    owner_waits_for_decision(
        "aborts", "abort", "ok 1", "1",
        "3b the new owner's committed() waits for the open flush and sees its abort");
    owner_waits_for_timeout();
    restart_decides_at_once();
    second_instance_fences(
        "instance", "other",
        "4a same group.instance.id, other transactional.id: the old handle's flush is refused");
    second_instance_fences(
        "same", "a",
        "4b same group.instance.id and transactional.id: the old handle's flush is refused");
    flush_across_rebalance_is_refused();
    empty_group_refuses_old_member();
    lost_member_asks_anew();
    metadata_without_member_is_accepted();
    timed_out_flush_is_refused();
    return failed != 0;
}

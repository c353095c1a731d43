/*
 * tests/unit/push/scripted.h -- an endpoint in a thread of the test, which answers as it is told, in order.
 *
 * One thread, poll, blocking sockets of the loopback; TLS by OpenSSL on the same.
 */
#ifndef TEST_PUSH_SCRIPTED_H
#define TEST_PUSH_SCRIPTED_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SCRIPTED_STEPS 16
#define SCRIPTED_CONNECTIONS 16
#define SCRIPTED_REQUEST_BYTES 8192

/* What to do with the next request. */
enum scripted_kind {
    REPLY,       /* send `text` as it is */
    REPLY_CLOSE, /* the same, then close */
    REPLY_RESET, /* the same, then reset the connection */
    SILENCE,     /* never answer */
    FLOOD_BODY,  /* a head that promises 100 MB, and as much of it as is taken */
    FLOOD_HEAD,  /* 1 MB of header lines */
};

struct scripted_step {
    enum scripted_kind kind;
    const char *text;
};

struct scripted {
    int listener, wake[2], port;
    SSL_CTX *tls;                               /* borrowed; NULL: plain */
    struct scripted_step steps[SCRIPTED_STEPS]; /* the last one repeats */
    size_t steps_n;
    pthread_t thread;
    /* read after the verdict of the request, or after stop */
    _Atomic int requests, accepted;
    char request[SCRIPTED_STEPS]
                [SCRIPTED_REQUEST_BYTES]; /* head and body of each, NUL-terminated */
};

struct connection {
    int fd; /* -1: free */
    SSL *ssl;
    char in[SCRIPTED_REQUEST_BYTES];
    size_t n;
    bool silent;
};

static int listen_local(int *port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof sa;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0 || listen(fd, 16) != 0 ||
        getsockname(fd, (struct sockaddr *)&sa, &n) != 0)
        return -1;
    *port = ntohs(sa.sin_port);
    return fd;
}

/* A port of 127.0.0.1 where nobody listens. */
static int scripted_dead_port(void)
{
    int port = 0, fd = listen_local(&port);

    close(fd);
    return port;
}

static void drop(struct connection *c, bool reset)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (reset)
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    else if (c->ssl != NULL)
        (void)SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    close(c->fd);
    *c = (struct connection){.fd = -1};
}

static bool send_all(struct connection *c, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent =
            c->ssl != NULL ? SSL_write(c->ssl, p, (int)n) : send(c->fd, p, n, MSG_NOSIGNAL);

        if (sent <= 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

static void flood(struct connection *c, const char *head, size_t total)
{
    static char line[1024];

    memset(line, 'x', sizeof line);
    memcpy(line, "X-Long: ", 8);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    if (!send_all(c, head, strlen(head)))
        return;
    for (size_t n = 0; n < total; n += sizeof line)
        if (!send_all(c, line, sizeof line))
            return;
}

static void answer(struct connection *c, const struct scripted_step *step)
{
    switch (step->kind) {
    case SILENCE: c->silent = true; break;
    case FLOOD_BODY:
        flood(c, "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n", 104857600);
        drop(c, false);
        break;
    case FLOOD_HEAD:
        flood(c, "HTTP/1.1 200 OK\r\n", 1048576);
        drop(c, false);
        break;
    case REPLY:
    case REPLY_CLOSE:
    case REPLY_RESET:
        if (!send_all(c, step->text, strlen(step->text)) || step->kind != REPLY)
            drop(c, step->kind == REPLY_RESET);
        break;
    }
}

/* Bytes of the request in the buffer, head and body; 0: not whole yet. */
static size_t whole(const struct connection *c)
{
    const char *end = memmem(c->in, c->n, "\r\n\r\n", 4), *length;
    size_t head, body = 0;

    if (end == NULL)
        return 0;
    head = (size_t)(end - c->in) + 4;
    length = memmem(c->in, head, "Content-Length: ", 16);
    if (length != NULL)
        body = strtoul(length + 16, NULL, 10);
    return c->n >= head + body ? head + body : 0;
}

static void on_request(struct scripted *s, struct connection *c, size_t n)
{
    int i = s->requests;
    size_t step = (size_t)i < s->steps_n ? (size_t)i : s->steps_n - 1;

    if (i < SCRIPTED_STEPS) {
        memcpy(s->request[i], c->in, n);
        s->request[i][n < SCRIPTED_REQUEST_BYTES ? n : n - 1] = '\0';
    }
    memmove(c->in, c->in + n, c->n - n);
    c->n -= n;
    s->requests = i + 1;
    answer(c, &s->steps[step]);
}

static void on_readable(struct scripted *s, struct connection *c)
{
    do {
        size_t room = sizeof c->in - c->n, n;
        ssize_t got = c->ssl != NULL ? SSL_read(c->ssl, c->in + c->n, (int)room)
                                     : recv(c->fd, c->in + c->n, room, 0);

        if (got <= 0) {
            drop(c, false);
            return;
        }
        c->n += (size_t)got;
        if (c->silent)
            c->n = 0;
        n = whole(c);
        if (n > 0)
            on_request(s, c, n);
    } while (c->fd >= 0 && c->ssl != NULL && SSL_pending(c->ssl) > 0);
}

static void on_connection(struct scripted *s, struct connection *cs)
{
    int fd = accept(s->listener, NULL, NULL);

    for (size_t i = 0; fd >= 0 && i < SCRIPTED_CONNECTIONS; i++) {
        struct connection *c = &cs[i];

        if (c->fd >= 0)
            continue;
        s->accepted++;
        c->fd = fd;
        if (s->tls == NULL)
            return;
        c->ssl = SSL_new(s->tls);
        if (c->ssl == NULL || SSL_set_fd(c->ssl, fd) != 1 || SSL_accept(c->ssl) != 1)
            drop(c, true);
        return;
    }
    close(fd);
}

static void *serve(void *arg)
{
    struct scripted *s = arg;
    static __thread struct connection cs[SCRIPTED_CONNECTIONS];
    struct pollfd fds[SCRIPTED_CONNECTIONS + 2];

    for (size_t i = 0; i < SCRIPTED_CONNECTIONS; i++)
        cs[i].fd = -1;
    for (;;) {
        fds[0] = (struct pollfd){.fd = s->wake[0], .events = POLLIN};
        fds[1] = (struct pollfd){.fd = s->listener, .events = POLLIN};
        for (size_t i = 0; i < SCRIPTED_CONNECTIONS; i++)
            fds[i + 2] = (struct pollfd){.fd = cs[i].fd, .events = POLLIN};
        if (poll(fds, SCRIPTED_CONNECTIONS + 2, -1) < 0 || fds[0].revents != 0)
            break;
        if (fds[1].revents != 0)
            on_connection(s, cs);
        for (size_t i = 0; i < SCRIPTED_CONNECTIONS; i++)
            if (fds[i + 2].revents != 0 && cs[i].fd == fds[i + 2].fd)
                on_readable(s, &cs[i]);
    }
    for (size_t i = 0; i < SCRIPTED_CONNECTIONS; i++)
        if (cs[i].fd >= 0)
            drop(&cs[i], true);
    return NULL;
}

/* Listens on 127.0.0.1, any port. False when it cannot. */
static bool scripted_start(struct scripted *s, SSL_CTX *tls, const struct scripted_step *steps,
                           size_t n)
{
    memset(s, 0, sizeof *s);
    s->tls = tls;
    s->steps_n = n;
    memcpy(s->steps, steps, n * sizeof *steps);
    signal(SIGPIPE, SIG_IGN); /* SSL_write has no MSG_NOSIGNAL */
    s->listener = listen_local(&s->port);
    return s->listener >= 0 && pipe(s->wake) == 0 &&
           pthread_create(&s->thread, NULL, serve, s) == 0;
}

static void scripted_stop(struct scripted *s)
{
    close(s->wake[1]);
    pthread_join(s->thread, NULL);
    close(s->wake[0]);
    close(s->listener);
}

static X509 *self_signed(EVP_PKEY *key, const char *host)
{
    X509 *cert = X509_new();
    X509_NAME *name = X509_NAME_new();
    X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, host);
    X509_EXTENSION *ca = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");

    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"scripted endpoint",
                               -1, -1, 0);
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_subject_name(cert, name);
    X509_set_issuer_name(cert, name);
    X509_set_pubkey(cert, key);
    X509_add_ext(cert, san, -1);
    X509_add_ext(cert, ca, -1);
    X509_sign(cert, key, EVP_sha256());
    X509_EXTENSION_free(san);
    X509_EXTENSION_free(ca);
    X509_NAME_free(name);
    return cert;
}

/* A server context with a new self-signed certificate for `host` ("IP:127.0.0.1", "DNS:x"), also written to ca_file. */
static SSL_CTX *scripted_tls(const char *host, char *ca_file)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = self_signed(key, host);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    int fd = mkstemp(ca_file);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    bool ok = file != NULL && ctx != NULL && SSL_CTX_use_certificate(ctx, cert) == 1 &&
              SSL_CTX_use_PrivateKey(ctx, key) == 1 && PEM_write_X509(file, cert) == 1;

    if (file != NULL)
        fclose(file);
    X509_free(cert);
    EVP_PKEY_free(key);
    if (ok)
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

#endif

/*
 * model/logrec.c -- what does one record of the notifications log say?
 *
 * In:    the record's value, as stage 1 wrote it and the broker kept it.
 * Out:   views into it: the header's values and the bytes that bundles are spliced from.
 * Owns:  nothing.
 *
 * The hard thing is to trust nothing although we wrote it ourselves: a log outlives versions, and a length that is
 * taken on faith would send bytes of one part as another. So the lines have one order, each length is checked against
 * what is left, and nothing may be left over. Not JSON: stage 2 would parse a resource that it only has to copy.
 */
#include "model/logrec.h"

#define MAGIC "cdx1\n"
#define PROVENANCE_PIECES 4

struct reading {
    struct cdx_text rest; /* behind the last line read */
    struct cdx_logrec *out;
    size_t entries_n;
    size_t pieces_n[PROVENANCE_PIECES];
};

typedef bool read_fn(struct reading *r, struct cdx_text value);

/* One non-negative number at the start of *text, without sign or leading zero; *text moves behind it. */
static bool number(struct cdx_text *text, int64_t *out)
{
    int64_t v = 0;
    size_t i = 0;

    for (; i < text->n && text->p[i] >= '0' && text->p[i] <= '9'; i++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, text->p[i] - '0', &v))
            return false;
    if (i == 0 || (i > 1 && text->p[0] == '0'))
        return false;
    *text = cdx_text(text->p + i, text->n - i);
    *out = v;
    return true;
}

static bool read_incarnation(struct reading *r, struct cdx_text value)
{
    return number(&value, &r->out->incarnation) && value.n == 0;
}

static bool read_level(struct reading *r, struct cdx_text value)
{
    static const char letters[] = "eif"; /* in the order of enum cdx_level_of_content */
    const char *at = value.n == 1 ? memchr(letters, value.p[0], sizeof letters - 1) : NULL;

    if (at == NULL)
        return false;
    r->out->level = (enum cdx_level_of_content)(at - letters);
    return true;
}

static bool read_timestamp(struct reading *r, struct cdx_text value)
{
    r->out->timestamp = value;
    return true;
}

static bool read_focus(struct reading *r, struct cdx_text value)
{
    r->out->focus = value;
    return true;
}

static bool read_context(struct reading *r, struct cdx_text value)
{
    if (r->out->contexts_n == CDX_MAX_CONTEXTS)
        return false;
    r->out->contexts[r->out->contexts_n++] = value;
    return true;
}

static bool read_member(struct reading *r, struct cdx_text value)
{
    if (r->out->members_n == CDX_MAX_LOG_MEMBERS)
        return false;
    r->out->members[r->out->members_n++] = value;
    return true;
}

static bool read_source(struct reading *r, struct cdx_text value)
{
    r->out->source = value;
    return true;
}

static bool read_entries(struct reading *r, struct cdx_text value)
{
    int64_t n;

    if (!number(&value, &n) || value.n != 0)
        return false;
    r->entries_n = (size_t)n;
    return true;
}

static bool read_provenance(struct reading *r, struct cdx_text value)
{
    for (size_t i = 0; i < PROVENANCE_PIECES; i++) {
        int64_t n;

        if (i > 0) {
            if (value.n == 0 || value.p[0] != ' ')
                return false;
            value = cdx_text(value.p + 1, value.n - 1);
        }
        if (!number(&value, &n) || n == 0)
            return false;
        r->pieces_n[i] = (size_t)n;
    }
    return value.n == 0;
}

static bool read_withheld(struct reading *r, struct cdx_text value)
{
    r->out->withheld = value;
    return true;
}

/* One row per letter, in the order in which they must stand. */
static const struct {
    char letter;
    bool required, repeats;
    read_fn *read;
} lines[] = {
    {'i', true, false, read_incarnation}, {'l', true, false, read_level},
    {'t', true, false, read_timestamp},   {'f', true, false, read_focus},
    {'c', false, true, read_context},     {'m', false, true, read_member},
    {'s', true, false, read_source},      {'e', true, false, read_entries},
    {'p', false, false, read_provenance}, {'x', false, false, read_withheld},
};

/* Takes the line "<letter> <value>" if the next one has this letter. */
static bool take(struct reading *r, char letter, struct cdx_text *value)
{
    const char *end;

    if (r->rest.n < 2 || r->rest.p[0] != letter || r->rest.p[1] != ' ')
        return false;
    end = memchr(r->rest.p, '\n', r->rest.n);
    if (end == NULL)
        return false;
    *value = cdx_text(r->rest.p + 2, (size_t)(end - r->rest.p) - 2);
    r->rest = cdx_text(end + 1, r->rest.n - value->n - 3);
    return true;
}

static enum cdx_code read_header(struct reading *r, struct cdx_err *err)
{
    struct cdx_text value;

    if (!cdx_text_starts(r->rest, CDX_LIT(MAGIC)))
        return cdx_fail(err, CDX_INPUT,
                        "log record: does not start with cdx1; was it written by another version?");
    r->rest = cdx_text(r->rest.p + sizeof MAGIC - 1, r->rest.n - (sizeof MAGIC - 1));
    for (size_t i = 0; i < CDX_COUNT(lines); i++) {
        size_t taken = 0;

        while ((taken == 0 || lines[i].repeats) && take(r, lines[i].letter, &value)) {
            if (value.n == 0 || !lines[i].read(r, value))
                return cdx_fail(err, CDX_INPUT, "log record: line '%c' has a wrong value",
                                lines[i].letter);
            taken++;
        }
        if (taken == 0 && lines[i].required)
            return cdx_fail(err, CDX_INPUT, "log record: line '%c' is missing", lines[i].letter);
    }
    if (r->rest.n == 0 || r->rest.p[0] != '\n')
        return cdx_fail(err, CDX_INPUT,
                        "log record: no empty line behind the header, or a line out of order");
    r->rest = cdx_text(r->rest.p + 1, r->rest.n - 1);
    return CDX_OK;
}

/* The next `n` bytes. */
static bool cut(struct reading *r, size_t n, struct cdx_text *out)
{
    if (n > r->rest.n)
        return false;
    *out = cdx_text(r->rest.p, n);
    r->rest = cdx_text(r->rest.p + n, r->rest.n - n);
    return true;
}

enum cdx_code cdx_logrec_parse(struct cdx_text value, struct cdx_logrec *out, struct cdx_err *err)
{
    struct reading r = {.rest = value, .out = out};
    enum cdx_code rc;

    /* Not the whole struct: its arrays are 2 KB, and their counts say what of them is meant. */
    out->contexts_n = 0;
    out->members_n = 0;
    out->withheld = cdx_text(NULL, 0);
    rc = read_header(&r, err);
    if (rc != CDX_OK)
        return rc;
    if (!cut(&r, r.entries_n, &out->entries))
        return cdx_fail(err, CDX_INPUT, "log record: line 'e' is longer than what follows");
    for (size_t i = 0; i < PROVENANCE_PIECES; i++)
        if (!cut(&r, r.pieces_n[i], &out->provenance[i]))
            return cdx_fail(err, CDX_INPUT, "log record: line 'p' is longer than what follows");
    if (r.rest.n != 0)
        return cdx_fail(err, CDX_INPUT, "log record: bytes behind what lines 'e' and 'p' name");
    return CDX_OK;
}

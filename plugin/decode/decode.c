/*
 * decode/decode.c -- which reader does this source's format ask for?
 *
 * In:    the word of sources[].format and a record.
 * Out:   the changes that its reader found, in the order in which they happened.
 * Owns:  nothing; everything lives in the record or in the event's arena.
 *
 * The hard thing is not here: each format is a file, this is the table that names them. Not one
 * reader that tries all formats: a topic with a stated format skips detection, which is cheaper and
 * cannot guess wrong.
 */
#include "decode/decode.h"

#include "decode/formats.h"

typedef enum cdx_code decode_fn(const struct cdx_decoding *d, struct cdx_err *err);

/*
 * One row per format; `format` is the word that sources[].format uses. A new format is a file and a
 * row.
 */
static const struct {
    const char *format;
    decode_fn *decode;
} formats[] = {
    {"fhir", cdx_decode_fhir},
    {"auto", cdx_decode_auto},
};

static decode_fn *find(struct cdx_text format)
{
    for (size_t i = 0; i < CDX_COUNT(formats); i++)
        if (cdx_text_is(format, formats[i].format))
            return formats[i].decode;
    return NULL;
}

bool cdx_decode_knows(struct cdx_text format)
{
    return find(format) != NULL;
}

enum cdx_code cdx_decode(struct cdx_text format, const struct cdx_record *rec, struct cdx_text base,
                         struct cdx_arena *arena, struct cdx_changes *out, struct cdx_err *err)
{
    const struct cdx_decoding d = {rec, base, arena, out};
    decode_fn *decode = find(format);

    if (decode == NULL)
        return cdx_fail(err, CDX_CONFIG,
                        "decode: no format '%.*s'; sources[].format is fhir or auto",
                        CDX_TEXT(format));
    return decode(&d, err);
}

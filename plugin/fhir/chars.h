/* fhir/chars.h -- private to fhir/: the characters of a JSON string, plain and escaped. */
#ifndef CDX_FHIR_CHARS_H
#define CDX_FHIR_CHARS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Bytes of the character above U+007F at p, of the n that are there (n > 0); 0: it is not UTF-8.
 * Thread: any, as for all below.
 */
size_t cdx_utf8_length(const unsigned char *p, size_t n);
/* Writes a character; returns its bytes. */
size_t cdx_utf8_write(uint32_t c, unsigned char out[4]);

/**
 * The character of the escape at p (its backslash), and in *used the escape's bytes. 0: it is none
 * that we take, which holds for half a surrogate pair (it has no UTF-8 form) and for \u0000.
 */
uint32_t cdx_escape_read(const unsigned char *p, size_t n, size_t *used);
/*
 * Writes [p, p + n), which was found sound before, with escapes resolved: at most n bytes. Returns
 * how many.
 */
size_t cdx_unescape(const unsigned char *p, size_t n, unsigned char *out);

#endif

/*
 * fuzz/subscription.c -- a Subscription resource, or the text of a filter: no crash, and what is taken keeps its bounds.
 *
 * Every text is tried as both. A filter that is taken has names and values that are not empty, and no error text is
 * empty or repeats the input's values.
 */
#include "fuzz.h"

#include "core/limits.h"
#include "model/subscription.h"

static void check_filters(const struct cdx_filter *filters, size_t n)
{
    if (n == 0 || n > CDX_MAX_FILTERS)
        abort();
    for (size_t i = 0; i < n; i++) {
        const struct cdx_filter *f = &filters[i];
        if (f->param[0] == '\0' || f->values_n == 0 || f->values_n > CDX_MAX_FILTER_VALUES)
            abort();
        for (size_t k = 0; k < f->values_n; k++)
            if (f->values[k][0] == '\0' || strlen(f->values[k]) > CDX_MAX_FILTER_VALUE_BYTES)
                abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct cdx_text text = cdx_text((const char *)p, n);
    struct cdx_filter *filters = NULL;
    struct cdx_err err = {0};
    struct cdx_sub *sub;
    size_t filters_n = 0;

    if (cdx_filter_parse(text, &filters, &filters_n, &err) == CDX_OK)
        check_filters(filters, filters_n);
    else if (err.text[0] == '\0' || filters_n != 0)
        abort();
    cdx_filters_free(filters, filters_n);
    err = (struct cdx_err){0};
    sub = cdx_sub_parse(text, &err);
    if (sub == NULL && err.text[0] == '\0')
        abort();
    if (sub != NULL && sub->filters_n != 0)
        check_filters(sub->filters, sub->filters_n);
    if (sub != NULL &&
        (strpbrk(sub->endpoint, "\r\n ") != NULL || strpbrk(sub->payload, "\r\n") != NULL))
        abort();
    cdx_sub_unref(sub);
    return 0;
}

/* tests/fuzz/conf.c -- any text as a configuration: read, or refused with at least one sentence that says why. */
#include <stdlib.h>

#include "model/conf.h"

#include "fuzz.h"

static void tell(void *arg, const char *text)
{
    *(size_t *)arg += text[0] != '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct cdx_err err = {0};
    char *text = malloc(n + 1);
    size_t told = 0;
    struct cdx_conf *conf;

    if (text == NULL)
        return 0;
    memcpy(text, p, n);
    text[n] = '\0';
    conf = cdx_conf_parse(text, "tests/cases/conf/secrets", tell, &told, &err);
    if ((conf == NULL) != (told != 0) || (conf == NULL) != (err.code != CDX_OK))
        abort();
    cdx_conf_free(conf);
    free(text);
    return 0;
}

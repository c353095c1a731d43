/*
 * model/delivery.c -- the end of a delivery: body, reference and storage go together.
 *
 * The body is clinical text, so it is cleared before the memory is given back.
 */
#include "model/delivery.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "model/subscription.h"

void cdx_delivery_free(struct cdx_delivery **d)
{
    struct cdx_delivery *del = *d;

    *d = NULL;
    if (del == NULL)
        return;
    if (del->body != NULL)
        OPENSSL_cleanse(del->body, del->body_n);
    free(del->body);
    cdx_sub_unref(del->sub);
    free(del);
}

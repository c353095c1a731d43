/* ops/demo_dead.h -- the demo's look into the dead letter topic. */
#ifndef CDX_OPS_DEMO_DEAD_H
#define CDX_OPS_DEMO_DEAD_H

#include <stdint.h>

#include "core/err.h"
#include "core/text.h"

struct cdx_bus; /* bus/bus.h */

/**
 * Read the dead letter topic to its end; write each record to <dir>/<n>.bin as it came and its headers to <dir>/<n>.txt.
 * kept: how many of them are `poison`, byte for byte. Errors: CDX_REMOTE, CDX_CONFIG (a file). Thread: main.
 */
enum cdx_code cdx_demo_dead_letters(struct cdx_bus *bus, const char *dir, struct cdx_text poison,
                                    int64_t *kept, struct cdx_err *err) CDX_MUST_CHECK;

#endif

/* state/trigger_boot.h -- private to state/trigger.c and its tests: the boot as an argument. */
#ifndef CDX_STATE_TRIGGER_BOOT_H
#define CDX_STATE_TRIGGER_BOOT_H

#include <stdint.h>

#include "core/err.h"
#include "core/text.h"

struct cdx_trigger; /* state/trigger.h */

/* As cdx_trigger_open, for the boot with this id (36 bytes are told apart; empty: unknown, which equals no other). */
struct cdx_trigger *cdx_trigger_open_boot(const char *dir, int32_t partition, struct cdx_text boot,
                                          int64_t wall_ms, struct cdx_err *err);

#endif

/* flow/stage1.h -- private to flow/: source records to the notifications log, exactly once. One thread. */
#ifndef CDX_FLOW_STAGE1_H
#define CDX_FLOW_STAGE1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

struct cdx_bus;
struct cdx_clock;
struct cdx_conf;
struct cdx_stage1;
struct cdx_view;

struct cdx_stage1 *cdx_stage1_create(const struct cdx_conf *conf, struct cdx_bus *bus,
                                     struct cdx_view *view, const struct cdx_clock *clock,
                                     struct cdx_err *err);
enum cdx_code cdx_stage1_start(struct cdx_stage1 *s, struct cdx_err *err) CDX_MUST_CHECK;
void cdx_stage1_close(struct cdx_stage1 *s);
void cdx_stage1_join(struct cdx_stage1 *s);
void cdx_stage1_destroy(struct cdx_stage1 *s);
/* Has its assignment (which may be empty). Thread: any, as below. */
bool cdx_stage1_ready(const struct cdx_stage1 *s);
int64_t cdx_stage1_beat_ms(const struct cdx_stage1 *s);
/* Why it ended by itself; "" while it runs. */
const char *cdx_stage1_failed(const struct cdx_stage1 *s);

#endif

/* flow/stage2.h -- private to flow/: from the log to the endpoints, in order, at least once. The push thread. */
#ifndef CDX_FLOW_STAGE2_H
#define CDX_FLOW_STAGE2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

struct cdx_bus;
struct cdx_clock;
struct cdx_conf;
struct cdx_stage2;
struct cdx_standing;
struct cdx_view;

struct cdx_stage2 *cdx_stage2_create(const struct cdx_conf *conf, struct cdx_bus *bus,
                                     struct cdx_view *view, const struct cdx_clock *clock,
                                     struct cdx_err *err);
enum cdx_code cdx_stage2_start(struct cdx_stage2 *s, struct cdx_err *err) CDX_MUST_CHECK;
void cdx_stage2_close(struct cdx_stage2 *s);
void cdx_stage2_join(struct cdx_stage2 *s);
void cdx_stage2_destroy(struct cdx_stage2 *s);
/* Thread: any, as below. */
bool cdx_stage2_ready(const struct cdx_stage2 *s);
int64_t cdx_stage2_beat_ms(const struct cdx_stage2 *s);
const char *cdx_stage2_failed(const struct cdx_stage2 *s);
enum cdx_code cdx_stage2_standings(struct cdx_stage2 *s, struct cdx_standing **out, size_t *n,
                                   struct cdx_err *err) CDX_MUST_CHECK;

#endif

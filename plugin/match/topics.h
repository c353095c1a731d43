/* match/topics.h -- compiled topics: which types trigger, by which names one may filter, what a name means on a type. */
#ifndef CDX_MATCH_TOPICS_H
#define CDX_MATCH_TOPICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/text.h"
#include "match/definitions.h"
#include "model/change.h"
#include "model/subscription.h"

struct cdx_topics;

/* Triggers of one topic; R4 has 146 resource types. */
#define CDX_MAX_TOPIC_TYPES 160
#define CDX_TRIGGERS(interaction) (1u << (interaction))

struct cdx_topic_type {
    const struct cdx_restype *type;
    unsigned interactions; /* CDX_TRIGGERS of CREATE, UPDATE, DELETE */
};

struct cdx_topic_filter {
    struct cdx_text name;
    const struct cdx_param **params; /* one a type of the topic; NULL: not declared for it */
};

/* All owned by the topic set's arena. */
struct cdx_topic {
    uint32_t index; /* in the set */
    struct cdx_text url, version;
    struct cdx_topic_type *types;
    size_t types_n;
    struct cdx_topic_filter *filters;
    size_t filters_n;
};

/* A topic that a type triggers; chained. */
struct cdx_topic_of {
    const struct cdx_topic *topic;
    size_t type; /* index in topic->types */
    struct cdx_topic_of *next;
};

/* The topics that a type triggers, in the order in which they were added; NULL: none. Thread: any, as below. */
const struct cdx_topic_of *cdx_topics_of(const struct cdx_topics *topics, struct cdx_text type);
/* A subscription's topic: the version that it names, else the one that was added last. NULL: unknown. */
const struct cdx_topic *cdx_topics_find(const struct cdx_topics *topics, const struct cdx_sub *sub);
const struct cdx_topic *cdx_topics_at(const struct cdx_topics *topics, uint32_t index);
const struct cdx_definitions *cdx_topics_definitions(const struct cdx_topics *topics);

/* The place of a filter in topic->filters, or SIZE_MAX. */
size_t cdx_topic_filter_at(const struct cdx_topic *topic, struct cdx_text name);
/* What a subscription's filter means on a type of its topic; NULL: it does not apply to it. */
const struct cdx_param *cdx_topic_param(const struct cdx_topic *topic, size_t type,
                                        const struct cdx_filter *filter);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "route.h"

#include <errno.h>
#include <stdlib.h>

static void fill(struct sl_route *r, const struct sl_route_topic *topic, uint32_t writers)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < r->topics; i++) {
		uint32_t n = topic[i].partitions;
		r->topic[i] = (struct sl_ob_topic){
			.max_bytes = topic[i].max_bytes, .first_slot = at, .partitions = n};
		r->fast[i] = sl_fastmod_for(n);
		for (uint32_t k = 0; k < n; k++, at++) {
			struct sl_part *p = sl_topic_part(topic[i].topic, (int32_t)k);
			SL_ASSERT(p && sl_part_writer(p) < writers);
			r->slot[at] = (struct sl_ob_slot){
				.part = p, .topic = i, .writer = sl_part_writer(p)};
		}
	}
}

int sl_route_new(const struct sl_route_topic *topic, uint32_t topics,
		 const struct sl_ingest_listener *listener, uint32_t listeners, uint32_t writers,
		 struct sl_route **ret_route)
{
	struct sl_route *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->topics = topics;
	for (uint32_t i = 0; i < topics; i++)
		r->slots += topic[i].partitions;
	r->slot = calloc(r->slots + 1, sizeof(*r->slot));
	r->topic = calloc(topics + 1, sizeof(*r->topic));
	r->fast = calloc(topics + 1, sizeof(*r->fast));
	r->listener = calloc(listeners + 1, sizeof(*r->listener));
	if (!r->slot || !r->topic || !r->fast || !r->listener) {
		sl_route_free(r);
		return -ENOMEM;
	}
	memcpy(r->listener, listener, listeners * sizeof(*listener));
	fill(r, topic, writers);
	*ret_route = r;
	return 0;
}

void sl_route_free(struct sl_route *r)
{
	if (!r)
		return;
	free(r->slot);
	free(r->topic);
	free(r->fast);
	free(r->listener);
	free(r);
}

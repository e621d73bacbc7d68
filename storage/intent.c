/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intent.c - after a kill -9 in the middle of an append: did it happen, and was it counted?
 *
 * Each writer's line says what it was about to publish and what its counters were before. The log's
 * own end tells whether it was published; then the counters are set, not added to.
 */
#include "store_int.h"

static struct sl_part *part_of(struct sl_store *s, uint64_t intent_part)
{
	for (uint32_t i = 0; i < s->topic_cnt; i++) {
		uint32_t id;
		memcpy(&id, s->topic[i]->id, sizeof(id));
		if (id == (uint32_t)intent_part)
			return sl_topic_part(s->topic[i], (int32_t)(intent_part >> 32));
	}
	return NULL;
}

void sl_intents_finish(struct sl_store *s)
{
	if (!s->cfg.counters)
		return;
	for (unsigned i = 0; i < SL_CTR_WRITERS; i++) {
		struct sl_ctr_writer *c = &s->cfg.counters->writer[i];
		if (!(c->intent_seq & 1))
			continue;
		uint64_t o = c->intent_origin;
		struct sl_part *p = part_of(s, c->intent_part);
		if (o < SL_ORIGIN_CNT && p) {
			bool there = (uint64_t)sl_part_end(p) >= c->intent_end;
			sl_ctr_set(&c->appended[o],
				   c->intent_prev + (there ? c->intent_records : 0));
			sl_ctr_set(&c->appended_bytes[o],
				   c->intent_prev_bytes + (there ? c->intent_bytes : 0));
		}
		sl_ctr_add(&c->intent_seq, 1);
	}
}

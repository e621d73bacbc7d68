/* SPDX-License-Identifier: Apache-2.0 */
/*
 * produce.h - a Produce under way:
 *
 *   start     reads the request; its batches stay where they were received   (api_produce.c)
 *   check     in a worker, small uncompressed ones at once                   (produce_check.h)
 *   inject    in the order of the connection's requests, through the one injector   (produce.c)
 *   logged    all appends are back: acks 0 and 1 end here   (produce_wait.c, from here on)
 *   synced    acks all: until the synced offset covers them, or the request's timeout
 *   central   acks all, and one of the topics has sluice.acks.all=central: until the uplink says
 *             that the centre has those, or the request's timeout
 *
 * Once injected it runs to its end, also when the peer has left; only the wait for the centre is
 * then cut short. Each partition goes by its own topic's rule. Network thread.
 */
#ifndef SL_BRIDGE_KAFKA_PRODUCE_H
#define SL_BRIDGE_KAFKA_PRODUCE_H

#include "conn.h"
#include "produce_check.h"

struct sl_kproduce_part {
	struct sl_kproduce *produce;
	struct sl_part *part;
	int32_t index;
	uint32_t topic; /* index into topics */
	int16_t err;
	bool central; /* acks=all means the centre */
	const char *msg;
	uint8_t *recs; /* in the request's frame; NULL: null */
	uint32_t recs_len;
	int64_t base_offset, log_start;
	struct sl_kcheck check;
	struct sl_kappend append;
};

struct sl_kproduce_topic {
	struct sl_slice name;
	struct sl_topic *topic; /* NULL: unknown */
	struct sl_topic_cfg cfg;
	uint32_t part_cnt; /* its partitions follow each other in parts */
};

struct sl_kproduce {
	struct sl_kreq *req;
	struct sl_job job;
	struct sl_timer timer; /* while it waits */
	TAILQ_ENTRY(sl_kproduce) order_link, wait_link;
	struct sl_kproduce_list *waits_in; /* wait_sync, wait_central, or NULL */
	int16_t acks;
	int32_t timeout_ms;
	int64_t now_ms;
	bool transactional;
	bool checked, injected;
	uint32_t next;    /* the first part not yet injected */
	uint32_t pending; /* injected and not back */
	uint32_t topic_cnt, part_cnt;
	uint64_t bytes; /* of all records */
	struct sl_kproduce_topic *topics;
	struct sl_kproduce_part *parts;
};

/* All appends are back: it is answered, or waits. */
void sl_kproduce_logged(struct sl_kproduce *p);
/* Can the centre be waited for? Else x has error 7 and says why, and nothing was appended. */
bool sl_kproduce_central_ok(struct sl_kproduce_part *x);
/* Ends it with the answer that its parts give (api_produce.c); p is gone afterwards, and so may be
 * its connection. */
void sl_kproduce_answer(struct sl_kproduce *p);

#endif

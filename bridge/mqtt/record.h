/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - what an MQTT message looks like as a record: value = payload, key and own headers from
 * the rule, and what the message itself says as headers `mqtt.…`. Pure.
 */
#ifndef SL_BRIDGE_MQTT_RECORD_H
#define SL_BRIDGE_MQTT_RECORD_H

#include "map.h"
#include "ring.h"

/* mqtt.topic, .client, .qos, .retain; properties; the rule's */
#define SL_MRECORD_HDRS_MAX (4 + SL_RING_PROPS_MAX + SL_CFG_RULE_HDRS_MAX)

struct sl_mrecord { /* embedded; init/fini only */
	uint32_t hdr_cnt;
	struct sl_hdr hdr[SL_MRECORD_HDRS_MAX];
	uint8_t *names; /* "mqtt.user.…", one after the other */
	uint32_t names_cap;
};

void sl_mrecord_init(struct sl_mrecord *r);
void sl_mrecord_fini(struct sl_mrecord *r);

/*
 * Fills r->hdr from the message and what the map made of it; borrows the bytes of both. A property
 * of a type that has no header is left out. -ENOMEM.
 */
SL_MUST_CHECK int sl_mrecord_fill(struct sl_mrecord *r, const struct sl_ring_msg *m,
				  const struct sl_map_out *out);
/* Upper bound of what the record adds to a batch; beyond SL_BATCH_MAX_BYTES it cannot be stored. */
uint64_t sl_mrecord_bound(const struct sl_mrecord *r, const struct sl_ring_msg *m,
			  const struct sl_map_out *out);

#endif

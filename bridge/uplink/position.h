/* SPDX-License-Identifier: Apache-2.0 */
/*
 * position.h - how far the centre is, as records of the compacted positions topic: encoding only.
 * Byte table (JSON, for operators' eyes): docs/formats/positions.md. Pure.
 *
 * Two kinds of record, both keyed, both written in transactions:
 *   claim     key "<gateway>": which instance writes for this gateway since when;
 *   position  key "<gateway>/<topic id, hex>/<partition>": next offset to send, with the counts up
 *             to there. Written in the same transaction as the records it covers.
 */
#ifndef SL_BRIDGE_UPLINK_POSITION_H
#define SL_BRIDGE_UPLINK_POSITION_H

#include "sluice/config.h"
#include "sluice/wire.h"

#define SL_POS_KEY_MAX   (SL_CFG_NAME_MAX + 1 + 32 + 1 + 10)
#define SL_POS_VALUE_MAX 1024
#define SL_TOKEN_TEXT    33 /* 16 random bytes in hex, with NUL */

struct sl_claim {
	char gateway[SL_CFG_NAME_MAX];
	char instance[SL_TOKEN_TEXT];
	char previous[SL_TOKEN_TEXT]; /* "" at the very first start */
	bool adopted;                 /* by an operator's word: a predecessor need not match */
	int64_t since_ms;             /* wall clock of the box */
};

struct sl_position {
	char gateway[SL_CFG_NAME_MAX];
	char topic[SL_TOPIC_NAME_MAX + 1];
	uint8_t topic_id[16];
	int32_t partition;
	int64_t offset;       /* next one to send */
	int32_t leader_epoch; /* of the last record sent, -1: none */
	char instance[SL_TOKEN_TEXT], previous[SL_TOKEN_TEXT]; /* who wrote this */
	/* offsets below `offset` by what became of them; their sum is offset - first */
	int64_t first;                                            /* where carrying began */
	uint64_t forwarded, dead_letter, evicted_unsent, missing; /* missing: no record there */
};

/* Both NUL-terminated; the value's length, or -EMSGSIZE. Caps of SL_POS_KEY_MAX + 1 and
 * SL_POS_VALUE_MAX + 1 are enough for whatever a valid struct holds. */
int sl_claim_encode(const struct sl_claim *c, char *key, size_t key_cap, char *val, size_t val_cap);
int sl_position_encode(const struct sl_position *p, char *key, size_t key_cap, char *val,
		       size_t val_cap);
/* Is it a key of this gateway's, well-formed or not? */
bool sl_pos_key_ours(const char *gateway, struct sl_slice key);
enum sl_pos_kind { SL_POS_OTHER, SL_POS_CLAIM, SL_POS_POSITION }; /* other: of another gateway */
/* -EILSEQ: not understood though it bears this gateway's key; then the uplink stops with an alarm.
 * A record without a value is SL_POS_OTHER. */
SL_MUST_CHECK int sl_pos_decode(const char *gateway, struct sl_slice key, struct sl_slice val,
				enum sl_pos_kind *ret_kind, struct sl_claim *ret_claim,
				struct sl_position *ret_pos);

#endif

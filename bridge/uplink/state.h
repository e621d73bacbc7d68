/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - <data>/state/uplink: who may act as this gateway, and a copy of the positions.
 * Line table: docs/formats/uplink-state.md.
 *
 * Loaded once, in memory afterwards; every change is made there and then saved. One thread.
 */
#ifndef SL_BRIDGE_UPLINK_STATE_H
#define SL_BRIDGE_UPLINK_STATE_H

#include "identity.h"
#include "position.h"
#include "uplink.h"

#define SL_UPSTATE_BYTES_MAX (16u << 20)
#define SL_UPSTATE_WRITERS   2

/* How far one partition is, and what became of the offsets from `first` on. */
struct sl_up_pos {
	int64_t first, offset; /* [first, offset) is dealt with */
	uint64_t forwarded, dead_letter, evicted_unsent, missing;
	int32_t leader_epoch; /* of the last record sent; -1: not told. Not in the file */
};

struct sl_up_gone { /* of topics that were deleted here */
	uint64_t carried, forwarded, dead_letter, evicted_unsent, missing;
};

struct sl_upstate_part {
	uint8_t topic_id[16];
	int32_t partition;
	char topic[SL_TOPIC_NAME_MAX + 1];
	int64_t found; /* where the log ended before anything was appended to it */
	struct sl_up_pos pos;
};

struct sl_upstate { /* the engine writes the fields it is told to */
	int dir_fd; /* <data>/state */
	bool fresh; /* there was no file, or a damaged one */
	char gateway[SL_CFG_NAME_MAX];
	char destination[SL_CFG_TEXT_MAX]; /* uplink.destination of the last start; "": none */
	struct sl_up_identity identity;    /* as written down */
	struct sl_up_identity here;        /* as it is */
	char instance[SL_TOKEN_TEXT];
	char writer[SL_UPSTATE_WRITERS][SL_TOKEN_TEXT]; /* ""; none at all */
	unsigned writer_cnt;                            /* 1 or 2 */
	bool paused, adopt, checked;
	enum sl_up_alarm alarm;
	char alarm_text[SL_CFG_TEXT_MAX];
	struct sl_up_gone gone;
	struct sl_upstate_part *part; /* in the order of (topic_id, partition) after a load */
	uint32_t part_cnt, part_cap;
};

/*
 * Reads the file if there is one, and looks where it lies. With another identity than it names
 * `alarm` is COPY and `instance` the old one; else `instance` is new. Nothing is written but
 * <data>/state/uplink.bad. -EPROTO: a newer format; -ENOMEM, others of open(2); a sentence in err.
 */
SL_MUST_CHECK int sl_upstate_open(const char *data, const char *gateway,
				  struct sl_upstate **ret_state, char *err, size_t errlen);
void sl_upstate_close(struct sl_upstate *st); /* accepts NULL */

/* Durable when it returns. -errno; then the old file stands. */
SL_MUST_CHECK int sl_upstate_save(struct sl_upstate *st);

/* 16 random bytes in hex. -EIO */
SL_MUST_CHECK int sl_upstate_token(char ret_token[SL_TOKEN_TEXT]);
/* True if a claim of this token ("": no claim) may stand at the centre. */
bool sl_upstate_may_follow(const struct sl_upstate *st, const char *token);

/* NULL: not known. After a load only: the array is searched as sorted. */
const struct sl_upstate_part *sl_upstate_find(const struct sl_upstate *st, const uint8_t id[16],
					      int32_t partition);
/* Appends; sorts nothing. -ENOMEM. Zeroed but for the key. */
SL_MUST_CHECK int sl_upstate_add(struct sl_upstate *st, const uint8_t id[16], int32_t partition,
				 struct sl_upstate_part **ret_part);
void sl_upstate_sort(struct sl_upstate *st);
int sl_upstate_part_cmp(const void *a, const void *b); /* as qsort wants it */

#endif

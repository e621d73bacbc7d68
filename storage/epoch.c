/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoch.c - where leader epochs ended. They change at a start only, so a partition keeps them in
 * memory as its leader-epoch-checkpoint had them then. Answers as Apache Kafka's
 * LeaderEpochFileCache.endOffsetFor.
 */
#include <errno.h>
#include <stdlib.h>

#include "checkpoint.h"
#include "store_int.h"

int sl_part_epochs_keep(struct sl_part *p, const struct sl_epochs *e)
{
	struct sl_epoch *all = e->cnt ? calloc(e->cnt, sizeof(*all)) : NULL;

	if (e->cnt && !all)
		return -ENOMEM;
	for (uint32_t i = 0; i < e->cnt; i++)
		all[i] = (struct sl_epoch){.epoch = e->row[i].epoch, .start = e->row[i].start};
	free(p->epoch);
	p->epoch = all;
	p->epoch_cnt = e->cnt;
	return 0;
}

int sl_part_epoch_end(const struct sl_part *p, int32_t epoch, int32_t *ret_epoch, int64_t *ret_end)
{
	int32_t now = sl_part_pub(p)->leader_epoch;
	uint32_t above = 0;

	if (epoch < 0 || epoch > now)
		return -ENOENT;
	while (above < p->epoch_cnt && p->epoch[above].epoch <= epoch)
		above++;
	if (above == p->epoch_cnt) {
		*ret_epoch = above ? p->epoch[above - 1].epoch : now;
		*ret_end = sl_part_end(p);
	} else { /* below all that are known: it ended where the first one begins */
		*ret_epoch = above ? p->epoch[above - 1].epoch : epoch;
		/* log start may have passed its end: DeleteRecords, retention */
		*ret_end = SL_MAX(p->epoch[above].start, sl_part_start(p));
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delete_records.c - Kafka's DeleteRecords: log start moves up, and what lies below goes.
 *
 * Log start may lie within a batch; readers filter. It is never durable beyond what is synced: a
 * log that ends below its log start after a power cut would begin anew at lower offsets. So the
 * writer syncs first. Then memory, then the checkpoint, then whole segments: a crash in between
 * leaves more records than asked for, never fewer.
 */
#include <errno.h>
#include <inttypes.h>

#include "platform/base/clock.h"
#include "store_int.h"

#define SYNC_WAIT_NS 30000000000ull

static int state_error(const struct sl_part *p)
{
	switch (sl_part_state(p)) {
	case SL_PART_DELETED:
		return -ENOENT;
	case SL_PART_FAILED:
		return -EIO;
	default:
		return 0;
	}
}

int sl_store_delete_records(struct sl_store *s, struct sl_part *p, int64_t offset,
			    int64_t *ret_start)
{
	int64_t end = sl_part_end(p);
	struct sl_hk_job job = {
		.kind = SL_JOB_DELETE_RECORDS,
		.part = p,
		.offset = offset == -1 ? end : offset,
		.deadline_ns = sl_clock_mono_ns() + SYNC_WAIT_NS,
	};

	if (job.offset < 0 || job.offset > end)
		return state_error(p) == -ENOENT ? -ENOENT : -ERANGE;
	int err = sl_hk_call(s, &job);
	if (!err)
		*ret_start = job.offset;
	return err;
}

/* The housekeeper: -EAGAIN until the writer has synced that far. */
int sl_job_delete_records(struct sl_store *s, struct sl_hk_job *job, uint64_t now)
{
	struct sl_part *p = job->part;
	int err = state_error(p);

	if (err)
		return err;
	if (sl_part_start(p) >= job->offset) {
		job->offset = sl_part_start(p); /* perhaps by retention, and in no checkpoint yet */
	} else if (sl_part_synced(p) < job->offset) {
		if (now >= job->deadline_ns)
			return -ETIMEDOUT;
		sl_hk_tell(p, SL_WR_SYNC);
		return -EAGAIN;
	} else {
		uint64_t unsent = sl_part_start_move(p, job->offset);
		if (unsent)
			sl_log_limited(&s->hk.unsent_lines, SL_LOG_WARN, "storage",
				       "%s: DeleteRecords to offset %" PRId64 ": %" PRIu64
				       " records were not sent to the centre yet",
				       p->dir, job->offset, unsent);
	}
	s->hk.checkpoint_sum = -1;
	err = sl_checkpoints_store(s, false);
	if (!err)
		sl_retention_below_start(p);
	return err;
}

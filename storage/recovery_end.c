/* SPDX-License-Identifier: Apache-2.0 */
/* recovery_end.c - where a log is known to have ended: marks weighed against each other. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "recovery.h"

static struct sl_rec_end end_of(const struct sl_tail_mark *m)
{
	return (struct sl_rec_end){
		.valid = true,
		.fresh = m->fresh,
		.seg_base = m->seg_base,
		.offset = m->synced,
		.pos = (uint32_t)m->end_pos,
	};
}

/* ---- going on ------------------------------------------------------------------------------ */

/* Batch after batch without a gap, in one file. True: it comes to end_off; *pos is moved there. */
static bool goes_on(struct sl_rec_part *pr, int64_t base, uint32_t *pos, int64_t off,
		    int64_t end_off, uint32_t end_pos)
{
	char name[SL_FILE_NAME_MAX];
	struct sl_scan sc = {.end_pos = SL_MIN(end_pos, (uint32_t)INT32_MAX),
			     .end_off = end_off,
			     .strict = true,
			     .pos = *pos,
			     .next_off = off};

	sl_segname(pr->p->dir, base, ".log", name);
	sc.fd = openat(pr->p->store->dir.log_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (sc.fd < 0)
		return false;
	sl_scan_run(&sc);
	close(sc.fd);
	pr->r->out->scanned_bytes += sc.scanned;
	sl_scan_fini(&sc);
	*pos = sc.pos;
	return sc.next_off == end_off;
}

/*
 * Whether the log goes on from `from` to exactly `to`, over segments. If only an offset is asked
 * for, the place where it was found is filled in.
 */
static bool reaches(struct sl_rec_part *pr, const struct sl_rec_end *from, struct sl_rec_end *to)
{
	bool any = to->pos == SL_REC_POS_ANY;
	uint32_t pos = from->pos;
	int64_t off = from->offset;

	for (uint32_t i = 0; i < pr->cnt; i++) {
		int64_t base = pr->base[i], next = i + 1 < pr->cnt ? pr->base[i + 1] : INT64_MAX;
		if (base < from->seg_base)
			continue;
		if (base > from->seg_base && off != base)
			return false; /* the first one is missing */
		if (base > from->seg_base)
			pos = 0;
		bool last = any ? next >= to->offset : base == to->seg_base;
		if (!goes_on(pr, base, &pos, off, last ? to->offset : next,
			     last && !any ? to->pos : UINT32_MAX))
			return false;
		if (last && any) {
			to->fresh = base == from->seg_base && from->fresh;
			to->seg_base = base;
			to->pos = pos;
		}
		if (last)
			return pos == to->pos;
		off = next;
	}
	return false;
}

/* ---- weighing ------------------------------------------------------------------------------ */

/* Retention took the segment away, which it does with nothing that was not published. */
static void skip_deleted(const struct sl_rec_part *pr, struct sl_rec_end *k)
{
	if (!k->valid || !pr->cnt || pr->base[0] <= k->seg_base || pr->base[0] < k->offset)
		return;
	k->fresh = false;
	k->seg_base = k->offset = pr->base[0];
	k->pos = 0;
}

/* More was published than the journal knows, so a slot of it is damaged. */
static void up_to(struct sl_rec_part *pr, struct sl_rec_end *k, int64_t published)
{
	struct sl_rec_end to = {.valid = true, .offset = published, .pos = SL_REC_POS_ANY};

	sl_log(SL_LOG_WARN, "storage",
	       "%s: the journal ends at offset %" PRId64 ", the checkpoint says %" PRId64,
	       pr->p->dir, k->offset, published);
	if (!reaches(pr, k, &to)) {
		to.seg_base = k->seg_base;
		for (uint32_t i = 0; i < pr->cnt && pr->base[i] < published; i++)
			to.seg_base = SL_MAX(to.seg_base, pr->base[i]);
	}
	*k = to;
}

int sl_rec_known(struct sl_rec_part *pr, const struct sl_rec_end *stripes, int64_t published)
{
	struct sl_rec *r = pr->r;
	struct sl_rec_end k = *stripes;
	unsigned cnt;
	const struct sl_tail_mark *m = sl_rec_marks(r, pr->p, &cnt);
	int torn[2] = {0};

	for (unsigned i = 0; i < cnt; i++) {
		torn[i] = sl_rec_restore(r, pr->p, &m[i]);
		if (torn[i] < 0)
			return torn[i];
	}
	/* without power cut, all that a mark speaks of is in the file or was in a stripe */
	unsigned sure = cnt == 2 && !r->old.map && published < m[1].synced ? 1 : cnt;
	if (sure) {
		struct sl_rec_end e = end_of(&m[sure - 1]);
		if (!k.valid || e.offset > k.offset ||
		    (e.offset == k.offset && e.seg_base > k.seg_base))
			k = e;
	}
	skip_deleted(pr, &k);
	if (sure < cnt) {
		struct sl_rec_end e = end_of(&m[1]);
		if (e.offset >= k.offset && reaches(pr, &k, &e)) {
			k = e;
			sure = cnt;
		}
	}
	if (k.valid && k.offset < published)
		up_to(pr, &k, published);
	for (unsigned i = 0; i < sure; i++) {
		if (!torn[i])
			continue;
		r->out->tails_restored++;
		sl_log(SL_LOG_WARN, "storage", "%s: torn block of segment %" PRId64 " restored",
		       pr->p->dir, m[i].seg_base);
	}
	pr->known = k;
	return 0;
}

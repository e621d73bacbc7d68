/* SPDX-License-Identifier: Apache-2.0 */
/* recovery.c - all partitions at start, then the journal of this run. */
#include "recovery.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/base/clock.h"
#include "platform/base/log.h"

struct all {
	struct sl_rec *r;
	struct sl_part *at;
};

static int one(struct sl_part *p, void *arg)
{
	struct all *a = arg;

	a->at = p;
	return sl_rec_part(a->r, p);
}

int sl_recover(struct sl_store *s, struct sl_store_recovery *rec, char *ret_err, size_t errlen)
{
	struct sl_rec r = {.s = s, .out = rec};
	struct all a = {.r = &r};
	uint64_t from = sl_clock_mono_ns();

	rec->clean = s->dir.clean || s->dir.run == 0; /* a new directory was never left */
	int err = sl_rec_load(&r);
	r.power_cut = !rec->clean && !r.old.map;
	if (!err)
		err = sl_store_each_part(s, one, &a);
	/* names and small files of all partitions at once; segments were synced one by one */
	if (!err && (r.changed || !rec->clean) && syncfs(s->dir.log_fd))
		err = -errno;
	if (err && a.at)
		snprintf(ret_err, errlen,
			 "%s: what was logged cannot be brought into its files: %s", a.at->dir,
			 strerror(-err));
	sl_rec_unload(&r);
	rec->duration_us = (sl_clock_mono_ns() - from) / 1000;
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "state_file.h"

int sl_upstate_token(char ret_token[SL_TOKEN_TEXT])
{
	uint8_t raw[16];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return -EIO;
	sl_up_hex(raw, sizeof(raw), ret_token);
	return 0;
}

bool sl_upstate_may_follow(const struct sl_upstate *st, const char *token)
{
	for (unsigned i = 0; i < st->writer_cnt; i++)
		if (!strcmp(st->writer[i], token))
			return true;
	return false;
}

/* ---- partitions ------------------------------------------------------------------------------ */

int sl_upstate_part_cmp(const void *a, const void *b)
{
	const struct sl_upstate_part *x = a, *y = b;
	int d = memcmp(x->topic_id, y->topic_id, sizeof(x->topic_id));

	return d ? d : (x->partition > y->partition) - (x->partition < y->partition);
}

void sl_upstate_sort(struct sl_upstate *st)
{
	if (st->part_cnt)
		qsort(st->part, st->part_cnt, sizeof(*st->part), sl_upstate_part_cmp);
}

const struct sl_upstate_part *sl_upstate_find(const struct sl_upstate *st, const uint8_t id[16],
					      int32_t partition)
{
	struct sl_upstate_part key = {.partition = partition};

	memcpy(key.topic_id, id, sizeof(key.topic_id));
	return st->part_cnt
		       ? bsearch(&key, st->part, st->part_cnt, sizeof(key), sl_upstate_part_cmp)
		       : NULL;
}

int sl_upstate_add(struct sl_upstate *st, const uint8_t id[16], int32_t partition,
		   struct sl_upstate_part **ret_part)
{
	struct sl_upstate_part *p;

	if (st->part_cnt == st->part_cap) {
		uint32_t cap = st->part_cap ? st->part_cap * 2 : 64;
		p = realloc(st->part, cap * sizeof(*p));
		if (!p)
			return -ENOMEM;
		st->part = p;
		st->part_cap = cap;
	}
	p = &st->part[st->part_cnt++];
	*p = (struct sl_upstate_part){.partition = partition};
	memcpy(p->topic_id, id, sizeof(p->topic_id));
	*ret_part = p;
	return 0;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* The first start, or as good as that. */
static void begin_anew(struct sl_upstate *st, const char *gateway)
{
	free(st->part);
	*st = (struct sl_upstate){.dir_fd = st->dir_fd,
				  .fresh = true,
				  .identity = st->here,
				  .here = st->here,
				  .paused = st->paused,
				  .checked = true,
				  .writer_cnt = 1};
	memcpy(st->gateway, gateway, strlen(gateway) + 1);
}

static void set_aside(struct sl_upstate *st)
{
	if (renameat(st->dir_fd, SL_UPSTATE_FILE, st->dir_fd, SL_UPSTATE_FILE ".bad") ||
	    fsync(st->dir_fd))
		sl_log(SL_LOG_ERROR, "uplink", "state/" SL_UPSTATE_FILE ": %s", strerror(errno));
}

static int load(struct sl_upstate *st, const char *gateway, char *err, size_t errlen)
{
	char *buf = NULL;
	size_t len = 0;
	int rc = sl_upstate_file_read(st->dir_fd, &buf, &len);

	if (rc == -ENOENT) {
		begin_anew(st, gateway);
		return 0;
	}
	if (!rc)
		rc = sl_upstate_parse(st, buf, len);
	free(buf);
	if (rc == -EILSEQ || rc == -EFBIG) {
		sl_log(SL_LOG_ERROR, "uplink",
		       "state/" SL_UPSTATE_FILE " is damaged: kept as " SL_UPSTATE_FILE
		       ".bad; who wrote at the centre before is not known any more");
		set_aside(st);
		begin_anew(st, gateway);
		return 0;
	}
	if (rc == -EPROTO)
		snprintf(err, errlen,
			 "state/" SL_UPSTATE_FILE " was written by a newer version of sluice");
	else if (rc)
		snprintf(err, errlen, "state/" SL_UPSTATE_FILE ": %s", strerror(-rc));
	return rc;
}

static const char *file_system(const struct sl_up_identity *id)
{
	return strcmp(id->uuid, "-") ? id->uuid : id->fsid;
}

/* What the file says against where it lies. */
static int compare(struct sl_upstate *st, const char *gateway)
{
	const struct sl_up_identity *now = &st->here;

	if (!st->fresh && !sl_up_identity_same(&st->identity, now)) {
		st->alarm = SL_UP_ALARM_COPY;
		snprintf(st->alarm_text, sizeof(st->alarm_text),
			 "the data directory is a copy, or was restored: inode %llu, file system "
			 "%.40s; it was %llu on %.40s",
			 (unsigned long long)now->inode, file_system(now),
			 (unsigned long long)st->identity.inode, file_system(&st->identity));
		return 0;
	}
	st->identity = *now;
	if (strcmp(st->gateway, gateway)) {
		sl_log(SL_LOG_WARN, "uplink",
		       "this gateway was %s and is %s now: it begins anew at the centre",
		       st->gateway, gateway);
		begin_anew(st, gateway);
	}
	return sl_upstate_token(st->instance);
}

int sl_upstate_open(const char *data, const char *gateway, struct sl_upstate **ret_state, char *err,
		    size_t errlen)
{
	struct sl_upstate *st = calloc(1, sizeof(*st));
	char path[SL_CFG_PATH_MAX + 8];
	int rc = -ENOMEM;

	snprintf(err, errlen, "out of memory");
	if (!st)
		return rc;
	snprintf(path, sizeof(path), "%s/state", data);
	st->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = st->dir_fd < 0 ? -errno : sl_up_identity_read(data, &st->here);
	if (rc) {
		snprintf(err, errlen, "%s: %s", path, strerror(-rc));
		goto fail;
	}
	rc = load(st, gateway, err, errlen);
	if (rc)
		goto fail;
	rc = compare(st, gateway);
	if (rc) {
		snprintf(err, errlen, "no random bytes from the kernel");
		goto fail;
	}
	*ret_state = st;
	return 0;
fail:
	sl_upstate_close(st);
	return rc;
}

void sl_upstate_close(struct sl_upstate *st)
{
	if (!st)
		return;
	if (st->dir_fd >= 0)
		close(st->dir_fd);
	free(st->part);
	free(st);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define META_MAX 4096u

static int row_cmp(const void *a, const void *b)
{
	const struct sl_cp_row *x = a, *y = b;
	int c = strcmp(x->topic, y->topic);

	return c ? c : (x->part > y->part) - (x->part < y->part);
}

/* One line without its newline into *ret_line; false at the end of the text. */
static bool next_line(char **text, char **ret_line)
{
	char *nl = strchr(*text, '\n');

	if (!nl)
		return false;
	*nl = '\0';
	*ret_line = *text;
	*text = nl + 1;
	return true;
}

/* A decimal number that is the whole of `s`. */
static bool number(const char *s, int64_t *ret_v)
{
	char *end;

	errno = 0;
	long long v = strtoll(s, &end, 10);
	if (errno || end == s || *end)
		return false;
	*ret_v = v;
	return true;
}

static bool parse_header(char **text, int64_t *ret_cnt)
{
	char *line;
	int64_t version;

	return next_line(text, &line) && number(line, &version) && version == 0 &&
	       next_line(text, &line) && number(line, ret_cnt) && *ret_cnt >= 0 &&
	       *ret_cnt <= (1 << 20);
}

static bool parse_row(char *line, struct sl_cp_row *row)
{
	char *a = strchr(line, ' ');
	char *b = a ? strchr(a + 1, ' ') : NULL;
	int64_t part;

	if (!b || !sl_topic_name_valid(line, (size_t)(a - line)))
		return false;
	*a = *b = '\0';
	if (!number(a + 1, &part) || part < 0 || part >= SL_PARTITIONS_MAX)
		return false;
	snprintf(row->topic, sizeof(row->topic), "%s", line);
	row->part = (int32_t)part;
	return number(b + 1, &row->offset) && row->offset >= 0;
}

int sl_cp_load(int dirfd, const char *name, struct sl_cp *cp)
{
	char *buf, *text, *line;
	int64_t cnt = 0;

	memset(cp, 0, sizeof(*cp));
	int err = sl_file_read(dirfd, name, SL_CP_FILE_MAX, &buf, NULL);
	if (err)
		return err;
	text = buf;
	if (!parse_header(&text, &cnt))
		err = -EILSEQ;
	for (int64_t i = 0; i < cnt && !err; i++) {
		struct sl_cp_row row;
		if (!next_line(&text, &line) || !parse_row(line, &row))
			err = -EILSEQ;
		else
			err = sl_cp_add(cp, row.topic, row.part, row.offset);
	}
	free(buf);
	if (err)
		sl_cp_fini(cp);
	else if (cp->cnt)
		qsort(cp->row, cp->cnt, sizeof(*cp->row), row_cmp);
	return err;
}

int64_t sl_cp_find(const struct sl_cp *cp, const char *topic, int32_t part)
{
	struct sl_cp_row key = {.part = part};

	snprintf(key.topic, sizeof(key.topic), "%s", topic);
	const struct sl_cp_row *r =
		cp->cnt ? bsearch(&key, cp->row, cp->cnt, sizeof(key), row_cmp) : NULL;
	return r ? r->offset : -1;
}

int sl_cp_add(struct sl_cp *cp, const char *topic, int32_t part, int64_t offset)
{
	if (cp->cnt == cp->cap) {
		size_t cap = cp->cap ? 2 * cp->cap : 64;
		struct sl_cp_row *row = realloc(cp->row, cap * sizeof(*row));
		if (!row)
			return -ENOMEM;
		cp->row = row;
		cp->cap = cap;
	}
	struct sl_cp_row *r = &cp->row[cp->cnt++];
	snprintf(r->topic, sizeof(r->topic), "%s", topic);
	r->part = part;
	r->offset = offset;
	return 0;
}

int sl_cp_store(int dirfd, const char *name, const struct sl_cp *cp)
{
	size_t cap = 64 + cp->cnt * (SL_TOPIC_NAME_MAX + 40), len;
	char *text = malloc(cap);

	if (!text)
		return -ENOMEM;
	len = (size_t)snprintf(text, cap, "0\n%zu\n", cp->cnt);
	for (size_t i = 0; i < cp->cnt; i++)
		len += (size_t)snprintf(text + len, cap - len, "%s %d %" PRId64 "\n",
					cp->row[i].topic, cp->row[i].part, cp->row[i].offset);
	int err = sl_file_replace(dirfd, name, text, len);
	free(text);
	return err;
}

void sl_cp_fini(struct sl_cp *cp)
{
	free(cp->row);
	memset(cp, 0, sizeof(*cp));
}

/* ---- leader epochs ------------------------------------------------------------------------- */

static void epochs_name(const char *dir, char name[SL_FILE_NAME_MAX])
{
	snprintf(name, SL_FILE_NAME_MAX, "%s/leader-epoch-checkpoint", dir);
}

void sl_epochs_load(int log_fd, const char *dir, struct sl_epochs *e)
{
	char name[SL_FILE_NAME_MAX], *buf, *text, *line;
	int64_t cnt = 0, epoch, start;

	e->cnt = 0;
	epochs_name(dir, name);
	if (sl_file_read(log_fd, name, SL_CP_FILE_MAX, &buf, NULL))
		return;
	text = buf;
	if (!parse_header(&text, &cnt))
		cnt = 0;
	for (int64_t i = 0; i < cnt && e->cnt < SL_EPOCHS_MAX; i++) {
		char *sp = next_line(&text, &line) ? strchr(line, ' ') : NULL;
		if (!sp)
			break;
		*sp = '\0';
		if (!number(line, &epoch) || !number(sp + 1, &start) || epoch < 0 ||
		    epoch > INT32_MAX || start < 0)
			break;
		if (e->cnt &&
		    (epoch <= e->row[e->cnt - 1].epoch || start < e->row[e->cnt - 1].start))
			continue;
		e->row[e->cnt].epoch = (int32_t)epoch;
		e->row[e->cnt++].start = start;
	}
	free(buf);
}

static int store_epochs(int log_fd, const char *dir, const struct sl_epochs *e, bool sync)
{
	char name[SL_FILE_NAME_MAX];
	size_t cap = 64 + (size_t)e->cnt * 40, len;
	char *text = malloc(cap);

	if (!text)
		return -ENOMEM;
	epochs_name(dir, name);
	len = (size_t)snprintf(text, cap, "0\n%u\n", e->cnt);
	for (uint32_t i = 0; i < e->cnt; i++)
		len += (size_t)snprintf(text + len, cap - len, "%d %" PRId64 "\n", e->row[i].epoch,
					e->row[i].start);
	int err = sync ? sl_file_replace(log_fd, name, text, len)
		       : sl_file_replace_whole(log_fd, name, text, len);
	free(text);
	return err;
}

int sl_epochs_store(int log_fd, const char *dir, const struct sl_epochs *e)
{
	return store_epochs(log_fd, dir, e, true);
}

int sl_epochs_store_whole(int log_fd, const char *dir, const struct sl_epochs *e)
{
	return store_epochs(log_fd, dir, e, false);
}

/* ---- partition.metadata -------------------------------------------------------------------- */

int sl_partmeta_load(int log_fd, const char *dir, uint8_t ret_topic_id[16])
{
	char name[SL_FILE_NAME_MAX], id[32] = "", *text;
	int version = -1;

	snprintf(name, sizeof(name), "%s/partition.metadata", dir);
	int err = sl_file_read(log_fd, name, META_MAX, &text, NULL);
	if (err)
		return err;
	bool ok = sscanf(text, "version: %d topic_id: %23s", &version, id) == 2 && version == 0 &&
		  sl_uuid_parse(id, ret_topic_id);
	free(text);
	return ok ? 0 : -EILSEQ;
}

int sl_partmeta_store(int log_fd, const char *dir, const uint8_t topic_id[16])
{
	char name[SL_FILE_NAME_MAX], text[128], id[SL_UUID_TEXT];

	snprintf(name, sizeof(name), "%s/partition.metadata", dir);
	sl_uuid_text(topic_id, id);
	int n = snprintf(text, sizeof(text), "version: 0\ntopic_id: %s", id);
	return sl_file_replace(log_fd, name, text, (size_t)n);
}

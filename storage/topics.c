/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topics.c - <data>/state/topics: names, ids, partition counts and settings.
 *
 * Text, replaced whole: "sluice-topics 1", one line per topic, "end <CRC-32C of what is before>".
 * If it is lost or damaged, the partition directories and their partition.metadata tell the topics;
 * only their settings are gone then. Format: docs/formats/state.md.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint.h"
#include "platform/base/log.h"
#include "platform/record/crc32c.h"
#include "store_int.h"

#define FILE_NAME      "topics"
#define LINE_MAX_BYTES 1024u
#define FILE_MAX_BYTES (64u + SL_STORE_TOPICS_MAX * LINE_MAX_BYTES)

static const struct setting { /* one row per setting: its Kafka name and its place */
	const char *name;
	size_t off;
	uint8_t bytes;
} settings[] = {
#define ROW(n, f)                                                                                  \
	{                                                                                          \
		n, offsetof(struct sl_topic_cfg, f), sizeof(((struct sl_topic_cfg *)0)->f)         \
	}
	ROW("retention.ms", retention_ms),
	ROW("retention.bytes", retention_bytes),
	ROW("segment.bytes", segment_bytes),
	ROW("segment.ms", segment_ms),
	ROW("max.message.bytes", max_message_bytes),
	ROW("index.interval.bytes", index_interval_bytes),
	ROW("message.timestamp.before.max.ms", ts_before_max_ms),
	ROW("message.timestamp.after.max.ms", ts_after_max_ms),
	ROW("message.timestamp.type", ts_type),
	ROW("compression.type", compression),
	ROW("compact", compact),
#undef ROW
};

static int64_t get(const struct sl_topic_cfg *cfg, const struct setting *row)
{
	const uint8_t *at = (const uint8_t *)cfg + row->off;
	int32_t v32;
	int64_t v64;

	if (row->bytes == 1)
		return *at;
	if (row->bytes == 4) {
		memcpy(&v32, at, 4);
		return v32;
	}
	memcpy(&v64, at, 8);
	return v64;
}

static void put(struct sl_topic_cfg *cfg, const struct setting *row, int64_t v)
{
	uint8_t *at = (uint8_t *)cfg + row->off;
	int32_t v32 = (int32_t)v;

	if (row->bytes == 1)
		*at = v != 0;
	else if (row->bytes == 4)
		memcpy(at, &v32, 4);
	else
		memcpy(at, &v, 8);
}

/* ---- storing ------------------------------------------------------------------------------- */

static size_t put_topic(char *text, size_t cap, const struct sl_topic *t)
{
	struct sl_topic_cfg cfg;
	char id[SL_UUID_TEXT];

	sl_topic_cfg_get(t, &cfg);
	sl_uuid_text(t->id, id);
	size_t n = (size_t)snprintf(text, cap, "topic %s %s %u", t->name, id, t->part_cnt);
	for (size_t i = 0; i < SL_ARRAY_SIZE(settings); i++)
		n += (size_t)snprintf(text + n, cap - n, " %s=%" PRId64, settings[i].name,
				      get(&cfg, &settings[i]));
	n += (size_t)snprintf(text + n, cap - n, "\n");
	return n;
}

int sl_topics_store(struct sl_store *s, const struct sl_topic *extra)
{
	size_t cap = 128 + (s->topic_cnt + 1) * (size_t)LINE_MAX_BYTES, n;
	char *text = malloc(cap);

	if (!text)
		return -ENOMEM;
	n = (size_t)snprintf(text, cap, "sluice-topics 1\n");
	for (uint32_t i = 0; i < s->topic_cnt; i++)
		n += put_topic(text + n, cap - n, s->topic[i]);
	if (extra)
		n += put_topic(text + n, cap - n, extra);
	n += (size_t)snprintf(text + n, cap - n, "end %08x\n", sl_crc32c(text, n));
	int err = sl_file_replace(s->dir.state_fd, FILE_NAME, text, n);
	free(text);
	return err;
}

/* ---- loading ------------------------------------------------------------------------------- */

int sl_topics_insert(struct sl_store *s, struct sl_topic *t)
{
	if (s->topic_cnt == s->topic_cap) {
		uint32_t cap = s->topic_cap ? 2 * s->topic_cap : 16;
		struct sl_topic **all = realloc(s->topic, cap * sizeof(struct sl_topic *));
		if (!all)
			return -ENOMEM;
		s->topic = all;
		s->topic_cap = cap;
	}
	uint32_t at = s->topic_cnt;
	while (at > 0 && strcmp(s->topic[at - 1]->name, t->name) > 0) {
		s->topic[at] = s->topic[at - 1];
		at--;
	}
	s->topic[at] = t;
	s->topic_cnt++;
	s->part_cnt += t->part_cnt;
	return 0;
}

static struct sl_topic *find_exact(struct sl_store *s, const char *name)
{
	for (uint32_t i = 0; i < s->topic_cnt; i++)
		if (strcmp(s->topic[i]->name, name) == 0)
			return s->topic[i];
	return NULL;
}

static int add(struct sl_store *s, const char *name, const uint8_t id[16], uint32_t parts,
	       const struct sl_topic_cfg *cfg)
{
	if (s->topic_cnt >= SL_STORE_TOPICS_MAX || s->part_cnt + parts > SL_STORE_PARTS_MAX)
		return -EMFILE;
	struct sl_topic *t = sl_topic_new(name, id, parts, cfg);
	int err = t ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < parts && !err; i++) {
		t->part[i] = sl_part_new(s, t, (int32_t)i);
		err = t->part[i] ? 0 : -ENOMEM;
	}
	if (!err)
		err = sl_topics_insert(s, t);
	if (err)
		sl_topic_free(t);
	return err;
}

static bool parse_settings(char *text, struct sl_topic_cfg *cfg)
{
	char *save;

	for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		char *eq = strchr(w, '=');
		if (!eq)
			return false;
		*eq = '\0';
		for (size_t i = 0; i < SL_ARRAY_SIZE(settings); i++)
			if (strcmp(settings[i].name, w) == 0)
				put(cfg, &settings[i], strtoll(eq + 1, NULL, 10));
	}
	return sl_topic_cfg_valid(cfg);
}

static int parse_topic(struct sl_store *s, char *line)
{
	struct sl_topic_cfg cfg;
	char name[SL_TOPIC_NAME_MAX + 1], id[32];
	uint8_t raw[16];
	unsigned parts;
	int at = 0;

	if (sscanf(line, "topic %249s %23s %u%n", name, id, &parts, &at) != 3 ||
	    !sl_topic_name_valid(name, strlen(name)) || !sl_uuid_parse(id, raw) || parts == 0 ||
	    parts > SL_PARTITIONS_MAX || find_exact(s, name))
		return -EILSEQ;
	sl_topic_cfg_defaults(&cfg);
	if (!parse_settings(line + at, &cfg))
		return -EILSEQ;
	return add(s, name, raw, parts, &cfg);
}

static int parse(struct sl_store *s, char *text, size_t len)
{
	char *end = NULL, *save;
	unsigned crc;
	int err = 0;

	for (char *p = text; (p = strstr(p, "\nend ")); p++)
		end = p + 1;
	if (strncmp(text, "sluice-topics 1\n", 16) || !end || sscanf(end, "end %8x", &crc) != 1 ||
	    crc != sl_crc32c(text, (size_t)(end - text)) || (size_t)(end - text) > len)
		return -EILSEQ;
	*end = '\0';
	strtok_r(text, "\n", &save);
	for (char *line; !err && (line = strtok_r(NULL, "\n", &save));)
		err = parse_topic(s, line);
	return err;
}

/* ---- from the directories ------------------------------------------------------------------ */

struct found {
	char name[SL_TOPIC_NAME_MAX + 1];
	uint8_t id[16];
	int32_t max_part;
};

static int note_dir(struct sl_store *s, const char *dir, struct found **all, size_t *cnt)
{
	struct found f;
	struct stat st;

	if (!sl_partdir_parse(dir, f.name, &f.max_part) ||
	    fstatat(s->dir.log_fd, dir, &st, AT_SYMLINK_NOFOLLOW) || !S_ISDIR(st.st_mode) ||
	    sl_partmeta_load(s->dir.log_fd, dir, f.id))
		return 0;
	for (size_t i = 0; i < *cnt; i++) {
		if (strcmp((*all)[i].name, f.name) == 0) {
			(*all)[i].max_part = SL_MAX((*all)[i].max_part, f.max_part);
			return 0;
		}
	}
	struct found *more = realloc(*all, (*cnt + 1) * sizeof(f));
	if (!more)
		return -ENOMEM;
	more[(*cnt)++] = f;
	*all = more;
	return 0;
}

static int rebuild(struct sl_store *s)
{
	struct found *all = NULL;
	struct sl_topic_cfg cfg;
	size_t cnt = 0;
	int fd = sl_dir_open(s->dir.data_fd, "log", false);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int err = d ? 0 : -errno;

	if (!d && fd >= 0)
		close(fd);
	while (!err && (e = readdir(d)))
		err = note_dir(s, e->d_name, &all, &cnt);
	if (d)
		closedir(d);
	sl_topic_cfg_defaults(&cfg);
	for (size_t i = 0; i < cnt && !err; i++) {
		sl_log(SL_LOG_WARN, "storage",
		       "topic %s: known by its directories only, settings are the defaults",
		       all[i].name);
		err = add(s, all[i].name, all[i].id, (uint32_t)all[i].max_part + 1, &cfg);
	}
	free(all);
	/* also when there is none: a topic of which only some directories are made is no topic */
	return err ? err : sl_topics_store(s, NULL);
}

/* What nobody knows is left alone; the operator should hear of it. */
static void report_unknown(struct sl_store *s)
{
	int fd = sl_dir_open(s->dir.data_fd, "log", false);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d && fd >= 0)
		close(fd);
	while (d && (e = readdir(d))) {
		char name[SL_TOPIC_NAME_MAX + 1];
		struct stat st;
		int32_t part;
		if (e->d_name[0] == '.' || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
		    S_ISREG(st.st_mode))
			continue;
		const struct sl_topic *t =
			sl_partdir_parse(e->d_name, name, &part) ? find_exact(s, name) : NULL;
		if (!t || (uint32_t)part >= t->part_cnt || !S_ISDIR(st.st_mode))
			sl_log(SL_LOG_WARN, "storage", "log/%s belongs to no topic: left alone",
			       e->d_name);
	}
	if (d)
		closedir(d);
}

int sl_topics_load(struct sl_store *s)
{
	char *text;
	size_t len;
	int err = sl_file_read(s->dir.state_fd, FILE_NAME, FILE_MAX_BYTES, &text, &len);

	if (!err) {
		err = parse(s, text, len);
		free(text);
		if (err == -EILSEQ)
			sl_log(SL_LOG_WARN, "storage",
			       "state/topics is damaged: read from the directories");
	}
	if (err == -EILSEQ || err == -ENOENT) {
		while (s->topic_cnt)
			sl_topic_free(s->topic[--s->topic_cnt]);
		s->part_cnt = 0;
		err = rebuild(s);
	}
	if (!err)
		report_unknown(s);
	return err;
}

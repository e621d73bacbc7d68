/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topics.c - <data>/state/topics: names, ids, partition counts and settings.
 *
 * Text, replaced whole: "sluice-topics 2", one line per topic with its own settings, one per
 * deleted topic whose directories still bear its name, "end <CRC-32C of what is before>".
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
#include "platform/base/topic_cfg.h"
#include "platform/record/crc32c.h"
#include "store_int.h"

#define FILE_NAME      "topics"
#define LINE_MAX_BYTES 1024u
#define FILE_MAX_BYTES (64u + 2 * SL_STORE_TOPICS_MAX * LINE_MAX_BYTES)
#define HEADER_1       "sluice-topics 1\n"
#define HEADER_2       "sluice-topics 2\n"
#define UNLAYERED      "unlayered"

/* ---- storing ------------------------------------------------------------------------------- */

static size_t put_name(char *text, size_t cap, const char *what, const char *name,
		       const uint8_t id[16], uint32_t parts)
{
	char uuid[SL_UUID_TEXT];

	sl_uuid_text(id, uuid);
	return (size_t)snprintf(text, cap, "%s %s %s %u", what, name, uuid, parts);
}

/* Settings in Kafka's own text, only those of the topic's own layer. */
static size_t put_topic(char *text, size_t cap, const struct sl_topic *t, uint32_t parts)
{
	struct sl_topic_layers l;
	char value[SL_TOPIC_SETTING_TEXT];
	uint32_t cnt;
	const struct sl_topic_setting *row = sl_topic_settings(&cnt);

	sl_topic_layers_get(t, &l);
	size_t n = put_name(text, cap, "topic", t->name, t->id, parts);
	if (t->unlayered)
		n += (size_t)snprintf(text + n, cap - n, " " UNLAYERED);
	for (uint32_t i = 0; i < cnt; i++) {
		if (!(l.own_set & sl_topic_setting_bit(i)))
			continue;
		sl_topic_setting_text(&l.own, &row[i], value);
		n += (size_t)snprintf(text + n, cap - n, " %s=%s", row[i].name, value);
	}
	n += (size_t)snprintf(text + n, cap - n, "\n");
	return n;
}

static uint32_t tombs(const struct sl_store *s)
{
	uint32_t n = 0;

	for (const struct sl_tomb *b = s->tomb; b; b = b->next)
		n++;
	return n;
}

int sl_topics_store(struct sl_store *s, const struct sl_topics_edit *edit)
{
	static const struct sl_topics_edit none = {0};
	size_t cap = 128 + (s->topic_cnt + 1 + tombs(s)) * (size_t)LINE_MAX_BYTES, n;
	char *text = malloc(cap);

	if (!text)
		return -ENOMEM;
	if (!edit)
		edit = &none;
	n = (size_t)snprintf(text, cap, HEADER_2);
	for (uint32_t i = 0; i < s->topic_cnt; i++) {
		const struct sl_topic *t = s->topic[i];
		if (t != edit->drop)
			n += put_topic(text + n, cap - n, t,
				       t == edit->grow ? edit->grow_to : sl_topic_cnt(t));
	}
	if (edit->add)
		n += put_topic(text + n, cap - n, edit->add, sl_topic_cnt(edit->add));
	for (const struct sl_tomb *b = s->tomb; b; b = b->next) {
		n += put_name(text + n, cap - n, "deleted", b->name, b->id, b->parts);
		n += (size_t)snprintf(text + n, cap - n, "\n");
	}
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
	s->part_cnt += sl_topic_cnt(t);
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
	       const struct sl_topic_layers *layers, bool unlayered)
{
	if (s->topic_cnt >= SL_STORE_TOPICS_MAX || s->part_cnt + parts > SL_STORE_PARTS_MAX)
		return -EMFILE;
	struct sl_topic *t = sl_topic_new(s, name, id, parts, layers);
	int err = t ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < parts && !err; i++) {
		struct sl_part *p = sl_part_new(s, t, (int32_t)i);
		sl_topic_put_part(t, i, p);
		err = p ? 0 : -ENOMEM;
	}
	if (!err) {
		atomic_store(&t->part_cnt, parts);
		err = sl_topics_insert(s, t);
	}
	if (err) {
		sl_topic_free(t);
		return err;
	}
	t->unlayered = unlayered;
	s->unlayered += unlayered;
	return 0;
}

/* The first format had all settings of a topic, as numbers, and one under a name of its own. */
static bool parse_number(struct sl_topic_layers *l, const char *name, const char *value)
{
	uint32_t cnt;
	const struct sl_topic_setting *all = sl_topic_settings(&cnt);
	const char *kafkas = strcmp(name, "compact") == 0 ? "cleanup.policy" : name;
	const struct sl_topic_setting *row = sl_topic_setting_find(kafkas, strlen(kafkas));

	if (row) {
		sl_topic_setting_put(&l->own, row, strtoll(value, NULL, 10));
		l->own_set |= sl_topic_setting_bit((uint32_t)(row - all));
	}
	return true;
}

/* A setting that this version does not know is left out. */
static bool parse_setting(struct sl_topic_layers *l, const char *name, const char *value)
{
	uint32_t cnt;
	const struct sl_topic_setting *all = sl_topic_settings(&cnt);
	const struct sl_topic_setting *row = sl_topic_setting_find(name, strlen(name));

	if (!row)
		return true;
	/* a word of a later version is one that the gateway's own topics have */
	for (const struct sl_setting_word *w = row->words; w && w->word; w++)
		if (w->later && strcmp(w->word, value) == 0)
			sl_topic_setting_put(&l->own, row, w->value);
	int rc = sl_topic_setting_parse(&l->own, row, value, strlen(value), NULL, 0);
	if (rc && rc != -ENOTSUP)
		return false;
	l->own_set |= sl_topic_setting_bit((uint32_t)(row - all));
	return true;
}

static bool parse_settings(char *text, bool first_format, struct sl_topic_layers *l,
			   bool *ret_unlayered)
{
	char *save;

	*ret_unlayered = first_format;
	for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		char *eq = strchr(w, '=');
		if (!eq && strcmp(w, UNLAYERED) == 0) {
			*ret_unlayered = true;
			continue;
		}
		if (!eq)
			return false;
		*eq = '\0';
		if (!(first_format ? parse_number : parse_setting)(l, w, eq + 1))
			return false;
	}
	return sl_topic_layers_valid(l);
}

/* Behind the line's first word. */
static bool parse_name(const char *line, char name[SL_TOPIC_NAME_MAX + 1], uint8_t id[16],
		       unsigned *parts, int *at)
{
	char uuid[32];

	*at = 0;
	return sscanf(line, " %249s %23s %u%n", name, uuid, parts, at) == 3 &&
	       sl_topic_name_valid(name, strlen(name)) && sl_uuid_parse(uuid, id) && *parts > 0 &&
	       *parts <= SL_PARTITIONS_MAX;
}

static int parse_topic(struct sl_store *s, char *line, bool first_format)
{
	struct sl_topic_layers l = {0};
	char name[SL_TOPIC_NAME_MAX + 1];
	uint8_t raw[16];
	unsigned parts;
	bool unlayered;
	int at;

	if (strncmp(line, "topic ", 6) || !parse_name(line + 6, name, raw, &parts, &at) ||
	    find_exact(s, name))
		return -EILSEQ;
	sl_topic_cfg_defaults(&l.base);
	l.own = l.base;
	if (!parse_settings(line + 6 + at, first_format, &l, &unlayered))
		return -EILSEQ;
	return add(s, name, raw, parts, &l, unlayered);
}

static int parse_deleted(struct sl_store *s, const char *line)
{
	struct sl_tomb *b = calloc(1, sizeof(*b));
	unsigned parts;
	int at;

	if (!b)
		return -ENOMEM;
	if (!parse_name(line + strlen("deleted"), b->name, b->id, &parts, &at)) {
		free(b);
		return -EILSEQ;
	}
	b->parts = parts;
	b->next = s->tomb;
	s->tomb = b;
	return 0;
}

static int parse(struct sl_store *s, char *text, size_t len)
{
	char *end = NULL, *save;
	unsigned crc;
	int err = 0;

	for (char *p = text; (p = strstr(p, "\nend ")); p++)
		end = p + 1;
	bool first_format = strncmp(text, HEADER_1, strlen(HEADER_1)) == 0;
	if ((!first_format && strncmp(text, HEADER_2, strlen(HEADER_2))) || !end ||
	    sscanf(end, "end %8x", &crc) != 1 || crc != sl_crc32c(text, (size_t)(end - text)) ||
	    (size_t)(end - text) > len)
		return -EILSEQ;
	*end = '\0';
	strtok_r(text, "\n", &save);
	for (char *line; !err && (line = strtok_r(NULL, "\n", &save));)
		err = strncmp(line, "deleted ", 8) ? parse_topic(s, line, first_format)
						   : parse_deleted(s, line);
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
	struct sl_topic_layers l = {0};
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
	sl_topic_cfg_defaults(&l.base);
	for (size_t i = 0; i < cnt && !err; i++) {
		sl_log(SL_LOG_WARN, "storage",
		       "topic %s: known by its directories only, settings are the defaults",
		       all[i].name);
		err = add(s, all[i].name, all[i].id, (uint32_t)all[i].max_part + 1, &l, false);
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
		if (!t || (uint32_t)part >= sl_topic_cnt(t) || !S_ISDIR(st.st_mode))
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
		s->part_cnt = s->unlayered = 0;
		sl_tombs_free(s);
		err = rebuild(s);
	}
	if (!err) {
		sl_trash_sweep(s); /* before what is left is reported */
		report_unknown(s);
	}
	return err;
}

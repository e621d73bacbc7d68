/* SPDX-License-Identifier: Apache-2.0 */
/* state_file.c - <data>/state/uplink: reading and writing its lines. */
#include "state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/record/crc32c.h"

#define FORMAT 1

static const char digits[] = "0123456789abcdef";

void sl_up_hex(const uint8_t *raw, size_t len, char *ret_text)
{
	for (size_t i = 0; i < len; i++) {
		*ret_text++ = digits[raw[i] >> 4];
		*ret_text++ = digits[raw[i] & 15];
	}
	*ret_text = 0;
}

/* ---- words of a line --------------------------------------------------------------------------
 */

struct words { /* cuts the text up as it goes; `bad` is sticky */
	char *p;
	bool bad;
};

/* The next line's first word must be `name`; what follows are its words. */
static void line(struct words *w, const char *name)
{
	size_t n = strlen(name);

	if (w->bad || strncmp(w->p, name, n) || (w->p[n] != ' ' && w->p[n] != '\n')) {
		w->bad = true;
		return;
	}
	w->p += n;
}

static bool more(const struct words *w)
{
	return !w->bad && *w->p == ' ';
}

/* The next word, "" if there is none: then w is bad. */
static char *word(struct words *w)
{
	static char none[1];
	char *from;

	if (!more(w)) {
		w->bad = true;
		return none;
	}
	from = ++w->p;
	w->p += strcspn(w->p, " \n");
	if (w->p == from)
		w->bad = true;
	return from;
}

/* Behind the last word of a line; ends the words in it. */
static void end(struct words *w)
{
	if (w->bad || *w->p != '\n')
		w->bad = true;
	else
		w->p++;
}

/* Copies a word of at most cap - 1 bytes. */
static void text(struct words *w, char *to, size_t cap)
{
	const char *s = word(w);
	size_t n = (size_t)(w->p - s);

	if (w->bad || n >= cap) {
		w->bad = true;
		return;
	}
	memcpy(to, s, n);
	to[n] = 0;
}

/* Decimal, at most `max`, without leading zeros. */
static uint64_t number(struct words *w, uint64_t max)
{
	const char *s = word(w);
	uint64_t v = 0;

	if (w->bad || (*s == '0' && w->p - s > 1))
		w->bad = true;
	for (; !w->bad && s < w->p; s++) {
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			w->bad = true;
	}
	if (v > max)
		w->bad = true;
	return w->bad ? 0 : v;
}

static int64_t offset(struct words *w)
{
	return (int64_t)number(w, INT64_MAX);
}

static void bytes16(struct words *w, uint8_t to[16])
{
	char hex[SL_TOKEN_TEXT];

	text(w, hex, sizeof(hex));
	if (!w->bad && strlen(hex) != 32)
		w->bad = true;
	for (unsigned i = 0; !w->bad && i < 16; i++) {
		const char *hi = strchr(digits, hex[2 * i]), *lo = strchr(digits, hex[2 * i + 1]);
		if (!hi || !lo)
			w->bad = true;
		else
			to[i] = (uint8_t)((hi - digits) << 4 | (lo - digits));
	}
}

static void token(struct words *w, char to[SL_TOKEN_TEXT])
{
	uint8_t raw[16];

	if (more(w) && w->p[1] == '-') {
		text(w, to, 2);
		to[0] = 0;
		return;
	}
	bytes16(w, raw);
	if (!w->bad)
		sl_up_hex(raw, sizeof(raw), to);
}

/* ---- reading -----------------------------------------------------------------------------------
 */

int sl_upstate_file_read(int dir_fd, char **ret_buf, size_t *ret_len)
{
	int fd = openat(dir_fd, SL_UPSTATE_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), rc = 0;
	struct stat st;
	char *buf = NULL;
	size_t len = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		rc = -EILSEQ;
	else if (st.st_size > (off_t)SL_UPSTATE_BYTES_MAX)
		rc = -EFBIG;
	else if (!(buf = malloc((size_t)st.st_size + 1)))
		rc = -ENOMEM;
	while (!rc && len < (size_t)st.st_size) {
		ssize_t n = read(fd, buf + len, (size_t)st.st_size - len);
		if (n <= 0)
			rc = n < 0 ? -errno : -EILSEQ; /* it shrank */
		else
			len += (size_t)n;
	}
	close(fd);
	if (rc) {
		free(buf);
		return rc;
	}
	buf[len] = 0;
	*ret_buf = buf;
	*ret_len = len;
	return 0;
}

static bool sums_up(const struct sl_up_pos *p)
{
	const uint64_t part[] = {p->forwarded, p->dead_letter, p->evicted_unsent, p->missing};
	uint64_t left = (uint64_t)(p->offset - p->first);

	if (p->first > p->offset)
		return false;
	for (size_t i = 0; i < SL_ARRAY_SIZE(part); i++) {
		if (part[i] > left)
			return false;
		left -= part[i];
	}
	return left == 0;
}

static int parse_part(struct words *w, struct sl_upstate *st)
{
	struct sl_upstate_part *p, v = {.pos = {.leader_epoch = -1}};
	int rc;

	line(w, "part");
	bytes16(w, v.topic_id);
	v.partition = (int32_t)number(w, SL_PARTITIONS_MAX - 1);
	text(w, v.topic, sizeof(v.topic));
	v.found = offset(w);
	v.pos.first = offset(w);
	v.pos.offset = offset(w);
	v.pos.forwarded = number(w, INT64_MAX);
	v.pos.dead_letter = number(w, INT64_MAX);
	v.pos.evicted_unsent = number(w, INT64_MAX);
	v.pos.missing = number(w, INT64_MAX);
	end(w);
	if (w->bad || !sums_up(&v.pos) || st->part_cnt == SL_STORE_PARTS_MAX * 4)
		return -EILSEQ;
	rc = sl_upstate_add(st, v.topic_id, v.partition, &p);
	if (!rc)
		*p = v;
	return rc;
}

static void parse_writers(struct words *w, struct sl_upstate *st)
{
	line(w, "writers");
	do
		token(w, st->writer[st->writer_cnt++]);
	while (more(w) && st->writer_cnt < SL_UPSTATE_WRITERS);
	end(w);
}

static void parse_alarm(struct words *w, struct sl_upstate *st)
{
	char name[16];
	unsigned a = 0;
	size_t n;

	line(w, "alarm");
	text(w, name, sizeof(name));
	while (a < SL_UP_ALARM_CNT && !w->bad && strcmp(name, sl_up_alarm_name(a)))
		a++;
	n = w->bad ? 0 : strcspn(w->p, "\n"); /* the rest of the line, blanks and all */
	if (w->bad || a == SL_UP_ALARM_CNT || n >= sizeof(st->alarm_text)) {
		w->bad = true;
		return;
	}
	st->alarm = a;
	memcpy(st->alarm_text, w->p, n);
	st->alarm_text[n] = 0;
	if (n) /* the blank before it */
		memmove(st->alarm_text, st->alarm_text + 1, n);
	w->p += n;
	end(w);
}

static bool flag(struct words *w, const char *name)
{
	line(w, name);
	bool v = number(w, 1);
	end(w);
	return v;
}

static void parse_head(struct words *w, struct sl_upstate *st)
{
	line(w, "gateway");
	text(w, st->gateway, sizeof(st->gateway));
	end(w);
	line(w, "destination");
	text(w, st->destination, sizeof(st->destination));
	end(w);
	line(w, "filesystem");
	text(w, st->identity.uuid, sizeof(st->identity.uuid));
	text(w, st->identity.fsid, sizeof(st->identity.fsid));
	end(w);
	line(w, "inode");
	st->identity.inode = number(w, UINT64_MAX);
	end(w);
	line(w, "instance");
	token(w, st->instance);
	end(w);
	parse_writers(w, st);
	st->paused = flag(w, "paused");
	st->adopt = flag(w, "adopt");
	parse_alarm(w, st);
	st->checked = flag(w, "checked");
	line(w, "gone");
	st->gone.carried = number(w, INT64_MAX);
	st->gone.forwarded = number(w, INT64_MAX);
	st->gone.dead_letter = number(w, INT64_MAX);
	st->gone.evicted_unsent = number(w, INT64_MAX);
	st->gone.missing = number(w, INT64_MAX);
	end(w);
}

/* The last line holds, and is the last. */
static bool sealed(const char *buf, size_t len)
{
	static const size_t tail = sizeof("end 01234567\n") - 1;
	char want[16];

	if (len < tail || strlen(buf) != len)
		return false;
	snprintf(want, sizeof(want), "end %08x\n", sl_crc32c(buf, len - tail));
	return !memcmp(buf + len - tail, want, tail);
}

int sl_upstate_parse(struct sl_upstate *st, char *buf, size_t len)
{
	struct words w = {.p = buf};
	int rc = 0;

	line(&w, "sluice-uplink");
	if (number(&w, UINT64_MAX) > FORMAT && !w.bad)
		return -EPROTO;
	end(&w);
	if (w.bad || !sealed(buf, len))
		return -EILSEQ;
	parse_head(&w, st);
	while (!w.bad && !rc && *w.p == 'p')
		rc = parse_part(&w, st);
	line(&w, "end");
	if (rc || w.bad)
		return rc ? rc : -EILSEQ;
	sl_upstate_sort(st);
	return 0;
}

/* ---- writing -----------------------------------------------------------------------------------
 */

static const char *or_none(const char *s)
{
	return *s ? s : "-";
}

static void print_head(FILE *f, const struct sl_upstate *st)
{
	fprintf(f,
		"sluice-uplink %d\ngateway %s\ndestination %s\nfilesystem %s %s\ninode "
		"%llu\ninstance %s\nwriters",
		FORMAT, st->gateway, or_none(st->destination), st->identity.uuid, st->identity.fsid,
		(unsigned long long)st->identity.inode, or_none(st->instance));
	for (unsigned i = 0; i < st->writer_cnt; i++)
		fprintf(f, " %s", or_none(st->writer[i]));
	fprintf(f, "\npaused %d\nadopt %d\nalarm %s%s%s\nchecked %d\n", st->paused, st->adopt,
		sl_up_alarm_name(st->alarm), st->alarm_text[0] ? " " : "", st->alarm_text,
		st->checked);
	fprintf(f, "gone %llu %llu %llu %llu %llu\n", (unsigned long long)st->gone.carried,
		(unsigned long long)st->gone.forwarded, (unsigned long long)st->gone.dead_letter,
		(unsigned long long)st->gone.evicted_unsent, (unsigned long long)st->gone.missing);
}

static void print_part(FILE *f, const struct sl_upstate_part *p)
{
	char id[SL_TOKEN_TEXT];

	sl_up_hex(p->topic_id, sizeof(p->topic_id), id);
	fprintf(f, "part %s %d %s %lld %lld %lld %llu %llu %llu %llu\n", id, p->partition, p->topic,
		(long long)p->found, (long long)p->pos.first, (long long)p->pos.offset,
		(unsigned long long)p->pos.forwarded, (unsigned long long)p->pos.dead_letter,
		(unsigned long long)p->pos.evicted_unsent, (unsigned long long)p->pos.missing);
}

int sl_upstate_print(const struct sl_upstate *st, char **ret_buf, size_t *ret_len)
{
	char *buf = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&buf, &len);
	bool bad;

	if (!f)
		return -ENOMEM;
	print_head(f, st);
	for (uint32_t i = 0; i < st->part_cnt; i++)
		print_part(f, &st->part[i]);
	if (!fflush(f)) /* len counts now */
		fprintf(f, "end %08x\n", sl_crc32c(buf, len));
	bad = ferror(f);
	if (fclose(f) || bad) {
		free(buf);
		return -ENOMEM;
	}
	*ret_buf = buf;
	*ret_len = len;
	return 0;
}

static int write_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return fsync(fd) ? -errno : 0;
}

int sl_upstate_save(struct sl_upstate *st)
{
	static const char tmp[] = SL_UPSTATE_FILE ".tmp";
	char *buf;
	size_t len;
	int fd, rc = sl_upstate_print(st, &buf, &len);

	if (rc)
		return rc;
	fd = openat(st->dir_fd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	rc = fd < 0 ? -errno : write_all(fd, buf, len);
	if (fd >= 0)
		close(fd);
	free(buf);
	if (!rc && (renameat(st->dir_fd, tmp, st->dir_fd, SL_UPSTATE_FILE) || fsync(st->dir_fd)))
		rc = -errno;
	return rc;
}

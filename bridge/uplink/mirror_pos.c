/* SPDX-License-Identifier: Apache-2.0 */
#include "mirror_pos.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/record/crc32c.h"
#include "sluice/config.h"

#define FORMAT     1
#define LINE_BYTES (SL_TOPIC_NAME_MAX + 32 + 80)
#define FILE_BYTES ((size_t)SL_MPOS_MAX * LINE_BYTES)
#define TAIL_BYTES 13  /* "end 01234567\n" */
#define SPAN       256 /* offsets looked at first, from the end */
#define PATH_ROOM  (SL_CFG_PATH_MAX + 64)

/* ---- the table ------------------------------------------------------------------------------- */

struct sl_mpos *sl_mpos_find(const struct sl_mpos_file *f, const char *topic, const uint8_t id[16],
			     int32_t partition)
{
	for (uint32_t i = 0; i < f->cnt; i++) {
		struct sl_mpos *p = &f->pos[i];

		if (p->partition == partition && !memcmp(p->id, id, 16) && !strcmp(p->topic, topic))
			return p;
	}
	return NULL;
}

int sl_mpos_set(struct sl_mpos_file *f, const struct sl_mpos *pos)
{
	struct sl_mpos *p = sl_mpos_find(f, pos->topic, pos->id, pos->partition);

	if (!p && f->cnt == SL_MPOS_MAX)
		return -E2BIG;
	if (!p && f->cnt == f->cap) {
		uint32_t cap = f->cap ? 2 * f->cap : 16;
		struct sl_mpos *more = realloc(f->pos, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		f->pos = more;
		f->cap = cap;
	}
	if (!p)
		p = &f->pos[f->cnt++];
	*p = *pos;
	return 0;
}

void sl_mpos_fini(struct sl_mpos_file *f)
{
	free(f->pos);
	*f = (struct sl_mpos_file){0};
}

/* ---- the file -------------------------------------------------------------------------------- */

static bool parse_id(const char *hex, uint8_t id[16])
{
	static const char digits[] = "0123456789abcdef";

	if (strlen(hex) != 32)
		return false;
	for (int i = 0; i < 16; i++) {
		const char *hi = strchr(digits, hex[2 * i]), *lo = strchr(digits, hex[2 * i + 1]);

		if (!hi || !lo)
			return false;
		id[i] = (uint8_t)((hi - digits) << 4 | (lo - digits));
	}
	return true;
}

static bool parse_number(const char *s, int64_t max, int64_t *ret)
{
	int64_t v = 0;
	const char *p = s;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p - '0', &v))
			return false;
	if (p == s || *p || v > max)
		return false;
	*ret = v;
	return true;
}

static int parse_line(struct sl_mpos_file *f, char *line)
{
	struct sl_mpos pos = {0};
	int64_t partition = 0;
	char *save = NULL, *w[6];

	for (size_t i = 0; i < SL_ARRAY_SIZE(w); i++)
		if (!(w[i] = strtok_r(i ? NULL : line, " ", &save)))
			return -EILSEQ;
	if (strtok_r(NULL, " ", &save) || strcmp(w[0], "part") != 0 ||
	    !sl_topic_name_valid(w[1], strlen(w[1])) || !parse_id(w[2], pos.id) ||
	    !parse_number(w[3], SL_PARTITIONS_MAX - 1, &partition) ||
	    !parse_number(w[4], INT64_MAX, &pos.local) ||
	    !parse_number(w[5], INT64_MAX, &pos.central))
		return -EILSEQ;
	memcpy(pos.topic, w[1], strlen(w[1]) + 1);
	pos.partition = (int32_t)partition;
	return sl_mpos_set(f, &pos);
}

/* buf has a NUL behind it, and is cut up. */
static int parse(struct sl_mpos_file *f, char *buf, size_t len)
{
	char tail[TAIL_BYTES + 1], *save = NULL, *line;
	int rc = 0, version = 0;

	if (len < TAIL_BYTES || strlen(buf) != len)
		return -EILSEQ;
	snprintf(tail, sizeof(tail), "end %08x\n", sl_crc32c(buf, len - TAIL_BYTES));
	if (memcmp(buf + len - TAIL_BYTES, tail, TAIL_BYTES) != 0)
		return -EILSEQ;
	buf[len - TAIL_BYTES] = 0;
	line = strtok_r(buf, "\n", &save);
	if (!line || sscanf(line, "sluice-mirror %d", &version) != 1 || version < 1)
		return -EILSEQ;
	if (version > FORMAT)
		return -EPROTO;
	while (!rc && (line = strtok_r(NULL, "\n", &save)))
		rc = parse_line(f, line);
	return rc;
}

static int read_all(const char *path, char **ret_buf, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc = 0;
	struct stat st;
	char *buf = NULL;
	size_t len = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > FILE_BYTES)
		rc = -EILSEQ;
	else if (!(buf = malloc((size_t)st.st_size + 1)))
		rc = -ENOMEM;
	while (!rc && len < (size_t)st.st_size) {
		ssize_t n = read(fd, buf + len, (size_t)st.st_size - len);

		if (n <= 0)
			rc = n < 0 ? -errno : -EILSEQ;
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

int sl_mpos_read(const char *path, struct sl_mpos_file *f)
{
	char *buf = NULL;
	size_t len = 0;
	int rc = read_all(path, &buf, &len);

	if (rc)
		return rc;
	rc = parse(f, buf, len);
	free(buf);
	if (rc)
		sl_mpos_fini(f);
	return rc;
}

static int print(const struct sl_mpos_file *f, char **ret_buf, size_t *ret_len)
{
	FILE *out = open_memstream(ret_buf, ret_len);

	if (!out)
		return -ENOMEM;
	fprintf(out, "sluice-mirror %d\n", FORMAT);
	for (uint32_t i = 0; i < f->cnt; i++) {
		const struct sl_mpos *p = &f->pos[i];

		fprintf(out, "part %s ", p->topic);
		for (int b = 0; b < 16; b++)
			fprintf(out, "%02x", p->id[b]);
		fprintf(out, " %d %lld %lld\n", p->partition, (long long)p->local,
			(long long)p->central);
	}
	fflush(out);
	fprintf(out, "end %08x\n", sl_crc32c(*ret_buf, *ret_len));
	return fclose(out) ? -ENOMEM : 0;
}

static int write_synced(const char *path, const char *buf, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), rc = 0;
	size_t done = 0;

	if (fd < 0)
		return -errno;
	while (!rc && done < len) {
		ssize_t n = write(fd, buf + done, len - done);

		if (n < 0)
			rc = -errno;
		else
			done += (size_t)n;
	}
	if (!rc && fsync(fd))
		rc = -errno;
	if (close(fd) && !rc)
		rc = -errno;
	return rc;
}

static int sync_dir_of(const char *path)
{
	char dir[PATH_ROOM];
	const char *slash = strrchr(path, '/');
	int fd, rc = 0;

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd))
		rc = -errno;
	close(fd);
	return rc;
}

int sl_mpos_write(const char *path, const struct sl_mpos_file *f)
{
	char tmp[PATH_ROOM], *buf = NULL;
	size_t len = 0;
	int rc = print(f, &buf, &len);

	if (!rc && snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= (int)sizeof(tmp))
		rc = -ENAMETOOLONG;
	if (!rc)
		rc = write_synced(tmp, buf, len);
	if (!rc && rename(tmp, path))
		rc = -errno;
	if (!rc)
		rc = sync_dir_of(path);
	free(buf);
	return rc;
}

/* ---- the log --------------------------------------------------------------------------------- */

static bool number_of(struct sl_slice s, int64_t *ret)
{
	char text[24];

	if (!s.p || s.len == 0 || s.len >= sizeof(text))
		return false;
	memcpy(text, s.p, s.len);
	text[s.len] = 0;
	return parse_number(text, INT64_MAX, ret);
}

static bool is_named(const struct sl_hdr *h, const char *name)
{
	return h->name.len == strlen(name) && !memcmp(h->name.p, name, h->name.len);
}

int64_t sl_mpos_of_headers(const struct sl_hdr *hdr, uint32_t cnt, int32_t partition)
{
	int64_t part = -1, offset = -1;

	for (uint32_t i = 0; hdr && i < cnt; i++) {
		if (is_named(&hdr[i], SL_MPOS_HDR_PART) && !number_of(hdr[i].value, &part))
			part = -1;
		if (is_named(&hdr[i], SL_MPOS_HDR_OFFSET) && !number_of(hdr[i].value, &offset))
			offset = -1;
	}
	return part == partition && offset < INT64_MAX ? offset : -1;
}

/* The offset at the centre of the last copied record in [from, to); -1: there is none. */
static int scan(struct sl_cursor_mem *mem, struct sl_part *part, int64_t from, int64_t to,
		int64_t *ret_last)
{
	struct sl_cursor c;
	struct sl_cursor_rec rec;
	int64_t last = -1, good = 0;
	int rc = 0;

	sl_cursor_init(&c, mem, part, from, false);
	while (c.offset < to && (rc = sl_cursor_next(&c, &rec, &good)) != 0) {
		if (rc == 1) {
			int64_t at =
				sl_mpos_of_headers(rec.hdr, rec.rec.hdr_cnt, sl_part_pub(part)->id);
			if (rec.offset < to && at >= 0)
				last = at;
			continue;
		}
		if (rc == -ERANGE)
			good = sl_part_start(part); /* what stood there was just deleted */
		else if (rc != -EILSEQ)
			return rc;
		if (good <= c.offset)
			break;
		sl_cursor_seek(&c, good);
	}
	*ret_last = last;
	return 0;
}

int sl_mpos_recover(struct sl_cursor_mem *mem, struct sl_part *part, const struct sl_mpos *known,
		    int64_t *ret_next)
{
	int64_t to = sl_part_end(part), lowest = sl_part_start(part), span = SPAN, last = -1;

	if (known && known->local > to)
		known = NULL;
	if (known && known->local > lowest)
		lowest = known->local;
	while (last < 0 && to > lowest) {
		int64_t from = to - lowest > span ? to - span : lowest;
		int rc = scan(mem, part, from, to, &last);

		if (rc)
			return rc;
		to = from;
		span *= 4;
	}
	*ret_next = last >= 0 ? last + 1 : known ? known->central : -1;
	return 0;
}

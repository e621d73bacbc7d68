/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "counters_layout.h"
#include "murmur2.h"

#define FIELDS(type, reserved) (offsetof(type, reserved) / sizeof(uint64_t))

/* The order of a line's fields, which must be the order of the structs in counters.h. */
static const char *const global_names[] = {"lost_at_crash", "crashes", "starts"};
static const char *const port_names[] = {"wire", "lost_by_device"};
static const char *const intent_names[] = {"intent_seq",   "intent_origin",    "intent_records",
					   "intent_bytes", "intent_end",       "intent_part",
					   "intent_prev",  "intent_prev_bytes"};

_Static_assert(FIELDS(struct sl_ctr_global, reserved) == SL_ARRAY_SIZE(global_names), "names");
_Static_assert(FIELDS(struct sl_ctr_port, reserved) == SL_ARRAY_SIZE(port_names), "names");
_Static_assert(FIELDS(struct sl_ctr_lcore, reserved) == SL_FRAME_ROW_CNT + SL_NOTE_ROW_CNT + 4,
	       "names");
_Static_assert(FIELDS(struct sl_ctr_writer, reserved) ==
		       (2 + SL_APPEND_REASON_CNT) * SL_ORIGIN_CNT + 1 + SL_ARRAY_SIZE(intent_names),
	       "names");
_Static_assert(FIELDS(struct sl_ctr_bridge, reserved) == SL_BRIDGE_ROW_CNT, "names");
_Static_assert(FIELDS(struct sl_ctr_global, reserved) + FIELDS(struct sl_ctr_port, reserved) +
			       FIELDS(struct sl_ctr_lcore, reserved) +
			       FIELDS(struct sl_ctr_writer, reserved) +
			       FIELDS(struct sl_ctr_bridge, reserved) <=
		       SL_CTR_FIELDS,
	       "the names do not fit into the header");

/* Names that would not fit are a mistake of ours. */
static SL_PRINTF(2, 3) void put(struct sl_ctr_header *h, const char *fmt, ...)
{
	va_list ap;

	SL_ASSERT(h->field_cnt < SL_CTR_FIELDS);
	va_start(ap, fmt);
	int n = vsnprintf(h->name[h->field_cnt++], SL_CTR_NAME, fmt, ap);
	va_end(ap);
	SL_ASSERT(n > 0 && n < SL_CTR_NAME);
}

static void put_list(struct sl_ctr_header *h, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put(h, "%s", names[i]);
}

static void put_lcore(struct sl_ctr_header *h)
{
	put(h, "rx");
	for (int r = 0; r < SL_FRAME_ROW_CNT; r++)
		put(h, "%s/%s", sl_frame_group_name(sl_frame_row_group((enum sl_frame_row)r)),
		    sl_frame_row_name((enum sl_frame_row)r));
	for (int r = 0; r < SL_NOTE_ROW_CNT; r++)
		put(h, "note/%s", sl_note_row_name((enum sl_note_row)r));
	put(h, "in_open");
	put(h, "handed");
	put(h, "in_hand");
}

static void put_writer(struct sl_ctr_header *h)
{
	for (int o = 0; o < SL_ORIGIN_CNT; o++)
		put(h, "appended/%s", sl_origin_name((enum sl_origin)o));
	for (int o = 0; o < SL_ORIGIN_CNT; o++)
		put(h, "appended_bytes/%s", sl_origin_name((enum sl_origin)o));
	for (int o = 0; o < SL_ORIGIN_CNT; o++)
		for (int r = 0; r < SL_APPEND_REASON_CNT; r++)
			put(h, "failed/%s/%s", sl_origin_name((enum sl_origin)o),
			    sl_append_reason_name((enum sl_append_reason)r));
	put(h, "taken");
	put_list(h, intent_names, SL_ARRAY_SIZE(intent_names));
}

static void put_bridge(struct sl_ctr_header *h)
{
	for (int r = 0; r < SL_BRIDGE_ROW_CNT; r++)
		put(h, "%s", sl_bridge_row_name((enum sl_bridge_row)r));
}

static uint32_t header_hash(const struct sl_ctr_header *h)
{
	struct sl_ctr_header copy = *h;

	copy.hash = 0;
	return sl_murmur2(&copy, sizeof(copy));
}

#define DESC(member, lines, type)                                                                  \
	{                                                                                          \
		.off = offsetof(struct sl_counters, member), .stride = sizeof(type),               \
		.cnt = (lines), .fields = FIELDS(type, reserved)                                   \
	}

void sl_ctr_header_make(struct sl_ctr_header *ret_hdr)
{
	static const struct sl_ctr_desc first[SL_CS_FIRST] = {
		[SL_CS_GLOBAL] = DESC(global, 1, struct sl_ctr_global),
		[SL_CS_LCORE] = DESC(lcore, SL_CTR_LCORES, struct sl_ctr_lcore),
		[SL_CS_WRITER] = DESC(writer, SL_CTR_WRITERS, struct sl_ctr_writer),
		[SL_CS_PORT] = DESC(port, SL_CTR_PORTS, struct sl_ctr_port),
	};
	static const struct sl_ctr_desc more[] = {
		DESC(bridge, SL_CTR_BRIDGES, struct sl_ctr_bridge),
	};

	memset(ret_hdr, 0, sizeof(*ret_hdr));
	memcpy(ret_hdr->magic, SL_CTR_MAGIC, sizeof(ret_hdr->magic));
	ret_hdr->version = SL_CTR_VERSION;
	ret_hdr->file_bytes = sizeof(struct sl_counters);
	memcpy(ret_hdr->first, first, sizeof(first));
	memcpy(ret_hdr->more, more, sizeof(more));
	put_list(ret_hdr, global_names, SL_ARRAY_SIZE(global_names));
	put_lcore(ret_hdr);
	put_writer(ret_hdr);
	put_list(ret_hdr, port_names, SL_ARRAY_SIZE(port_names));
	put_bridge(ret_hdr);
	ret_hdr->hash = header_hash(ret_hdr);
}

int sl_ctr_header_check(const struct sl_ctr_header *hdr, uint64_t file_bytes)
{
	uint32_t fields = 0;

	if (memcmp(hdr->magic, SL_CTR_MAGIC, sizeof(hdr->magic)))
		return -EILSEQ;
	if (hdr->version > SL_CTR_VERSION)
		return -EPROTO; /* before the hash: a later version may hash otherwise */
	if (hdr->version == 0 || hdr->hash != header_hash(hdr) || hdr->file_bytes != file_bytes ||
	    hdr->field_cnt > SL_CTR_FIELDS)
		return -EILSEQ;
	for (int s = 0; s < SL_CS_CNT; s++) {
		const struct sl_ctr_desc *d = sl_ctr_desc(hdr, s);

		if (d->off % sizeof(uint64_t) || d->stride % sizeof(uint64_t) ||
		    d->fields > SL_CTR_FIELDS || d->stride / sizeof(uint64_t) < d->fields ||
		    d->off + (uint64_t)d->stride * d->cnt > file_bytes)
			return -EILSEQ;
		fields += d->fields;
	}
	return fields == hdr->field_cnt ? 0 : -EILSEQ;
}

/* ---- taking over ------------------------------------------------------------------------- */

static uint32_t first_name(const struct sl_ctr_header *h, int section)
{
	uint32_t at = 0;

	for (int s = 0; s < section; s++)
		at += sl_ctr_desc(h, s)->fields;
	return at;
}

/* Index within the section, or -1. */
static int find(const struct sl_ctr_header *h, int section, const char *name)
{
	uint32_t at = first_name(h, section);

	for (uint32_t i = 0; i < sl_ctr_desc(h, section)->fields; i++)
		if (!strncmp(h->name[at + i], name, SL_CTR_NAME))
			return (int)i;
	return -1;
}

/* Where a figure that this version has no field for is kept, or -1. */
static int find_fallback(const struct sl_ctr_header *h, int section, const char *name)
{
	char other[SL_CTR_NAME];
	const char *slash = memchr(name, '/', SL_CTR_NAME);

	if (!slash)
		return -1;
	if (section == SL_CS_LCORE && strncmp(name, "note/", 5))
		return find(h, section, "other/other");
	if (section != SL_CS_WRITER || strncmp(name, "failed/", 7))
		return -1;
	slash = memchr(name + 7, '/', SL_CTR_NAME - 7);
	if (!slash)
		return -1;
	snprintf(other, sizeof(other), "%.*s/io_error", (int)(slash - name), name);
	return find(h, section, other);
}

static bool adds_up(const char *name)
{
	return strncmp(name, "intent_", 7) != 0;
}

static void migrate_section(const struct sl_ctr_header *from, const uint8_t *old,
			    const struct sl_ctr_header *to, uint8_t *file, int s)
{
	const struct sl_ctr_desc *fd = sl_ctr_desc(from, s), *td = sl_ctr_desc(to, s);
	uint32_t names = first_name(from, s);

	for (uint32_t f = 0; f < fd->fields; f++) {
		const char *name = from->name[names + f];
		int t = find(to, s, name);

		if (t < 0)
			t = find_fallback(to, s, name);
		if (t < 0)
			continue;
		for (uint32_t i = 0; i < fd->cnt; i++) {
			uint32_t line = SL_MIN(i, td->cnt - 1);
			uint64_t v, sum;
			uint8_t *at = file + td->off + (size_t)line * td->stride + 8u * (uint32_t)t;

			if (line != i && !adds_up(name))
				continue;
			memcpy(&v, old + fd->off + (size_t)i * fd->stride + 8u * f, 8);
			memcpy(&sum, at, 8);
			sum += v;
			memcpy(at, &sum, 8);
		}
	}
}

void sl_ctr_migrate(const struct sl_ctr_header *old_hdr, const uint8_t *old_file,
		    struct sl_counters *ret_ctr)
{
	struct sl_ctr_header to;

	sl_ctr_header_make(&to);
	for (int s = 0; s < SL_CS_CNT; s++)
		migrate_section(old_hdr, old_file, &to, (uint8_t *)ret_ctr, s);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "group_record.h"

enum { KEY_OFFSET_OLD = 0, KEY_OFFSET = 1, KEY_GROUP = 2 }; /* versions are the kinds */

#define OFFSET_VALUE_MAX    3
#define OFFSET_VALUE_EXPIRE 1 /* the version that has a time of expiry */
#define GROUP_VALUE_MAX     3

static struct sl_slice or_empty(struct sl_slice s)
{
	return s.p ? s : (struct sl_slice){(const uint8_t *)"", 0};
}

bool sl_gkey_read(struct sl_slice key, struct sl_gkey *ret_key)
{
	struct sl_kr r = {0};

	if (!key.p)
		return false;
	*ret_key = (struct sl_gkey){.kind = SL_GREC_FOREIGN};
	sl_rd_init(&r.rd, key.p, key.len);
	int16_t version = sl_kr_i16(&r);
	if (r.rd.bad)
		return false;
	if (version < KEY_OFFSET_OLD || version > KEY_GROUP)
		return true;
	ret_key->group = sl_kr_str(&r);
	ret_key->kind = SL_GREC_GROUP;
	if (version != KEY_GROUP) {
		ret_key->kind = SL_GREC_OFFSET;
		ret_key->topic = sl_kr_str(&r);
		ret_key->partition = sl_kr_i32(&r);
	}
	return !r.rd.bad;
}

void sl_gkey_write_offset(struct sl_kw *w, struct sl_slice group, struct sl_slice topic,
			  int32_t partition)
{
	sl_kw_i16(w, KEY_OFFSET);
	sl_kw_str(w, group);
	sl_kw_str(w, topic);
	sl_kw_i32(w, partition);
}

void sl_gkey_write_group(struct sl_kw *w, struct sl_slice group)
{
	sl_kw_i16(w, KEY_GROUP);
	sl_kw_str(w, group);
}

bool sl_goffset_read(struct sl_slice value, struct sl_offset *ret)
{
	struct sl_kr r = {0};

	sl_rd_init(&r.rd, value.p, value.len);
	int16_t version = sl_kr_i16(&r);
	if (version < 0 || version > OFFSET_VALUE_MAX)
		return false;
	ret->offset = sl_kr_i64(&r);
	ret->leader_epoch = version >= 3 ? sl_kr_i32(&r) : -1;
	ret->metadata = or_empty(sl_kr_nstr(&r));
	ret->commit_ms = sl_kr_i64(&r);
	ret->expire_ms = version == OFFSET_VALUE_EXPIRE ? sl_kr_i64(&r) : -1;
	return !r.rd.bad;
}

void sl_goffset_write(struct sl_kw *w, const struct sl_offset *v)
{
	bool expires = v->expire_ms >= 0;

	sl_kw_i16(w, expires ? OFFSET_VALUE_EXPIRE : OFFSET_VALUE_MAX);
	sl_kw_i64(w, v->offset);
	if (!expires)
		sl_kw_i32(w, v->leader_epoch);
	sl_kw_str(w, or_empty(v->metadata));
	sl_kw_i64(w, v->commit_ms);
	if (expires)
		sl_kw_i64(w, v->expire_ms);
}

bool sl_gmeta_read(struct sl_slice value, struct sl_gmeta_rd *ret_rd, struct sl_group_seed *ret)
{
	struct sl_kr *r = &ret_rd->r;

	memset(ret_rd, 0, sizeof(*ret_rd));
	sl_rd_init(&r->rd, value.p, value.len);
	ret_rd->version = sl_kr_i16(r);
	if (ret_rd->version < 0 || ret_rd->version > GROUP_VALUE_MAX)
		return false;
	ret->protocol_type = sl_kr_str(r);
	ret->generation = sl_kr_i32(r);
	ret->protocol = sl_kr_nstr(r);
	ret->leader = sl_kr_nstr(r);
	ret->state_ms = ret_rd->version >= 2 ? sl_kr_i64(r) : -1;
	ret_rd->left = sl_kr_array(r, 18); /* three strings, a timeout, two byte arrays */
	return !r->rd.bad && ret->generation >= 0;
}

bool sl_gmeta_read_member(struct sl_gmeta_rd *rd, struct sl_gmember_seed *ret)
{
	struct sl_kr *r = &rd->r;

	SL_ASSERT(rd->left > 0);
	rd->left--;
	*ret = (struct sl_gmember_seed){0};
	ret->id = sl_kr_str(r);
	if (rd->version >= 3)
		ret->instance = sl_kr_nstr(r);
	ret->client_id = sl_kr_str(r);
	ret->client_host = sl_kr_str(r);
	ret->rebalance_ms = rd->version >= 1 ? sl_kr_i32(r) : -1;
	ret->session_ms = sl_kr_i32(r);
	if (rd->version == 0) /* Kafka: the session's is the only one there is */
		ret->rebalance_ms = ret->session_ms;
	ret->metadata = or_empty(sl_kr_nbytes(r));
	ret->assignment = or_empty(sl_kr_nbytes(r));
	return !r->rd.bad && ret->session_ms >= 0 && ret->rebalance_ms >= 0;
}

static void put_bytes(struct sl_kw *w, struct sl_slice s)
{
	sl_kw_bytes_len(w, s.len);
	sl_kw_raw(w, s.p, s.len);
}

static void put_member(struct sl_kw *w, const struct sl_group *g, const struct sl_gmember *m)
{
	sl_kw_str(w, m->id);
	sl_kw_str(w, m->instance);
	sl_kw_str(w, or_empty(m->client_id));
	sl_kw_str(w, or_empty(m->client_host));
	sl_kw_i32(w, m->rebalance_ms);
	sl_kw_i32(w, m->session_ms);
	put_bytes(w, sl_gmember_metadata(m, g->protocol));
	put_bytes(w, (struct sl_slice){m->assignment, m->assignment_len});
}

void sl_gmeta_write(struct sl_kw *w, const struct sl_group *g, bool members)
{
	const struct sl_slice none = {NULL, 0};
	const struct sl_gmember *m;

	sl_kw_i16(w, GROUP_VALUE_MAX);
	sl_kw_str(w, or_empty(g->protocol_type));
	sl_kw_i32(w, g->generation);
	sl_kw_str(w, members ? g->protocol : none);
	sl_kw_str(w, members && g->leader ? g->leader->id : none);
	sl_kw_i64(w, g->state_ms);
	sl_kw_array(w, members ? g->member_cnt : 0);
	for (m = TAILQ_FIRST(&g->members); members && m; m = TAILQ_NEXT(m, link))
		put_member(w, g, m);
}

/* ---- which partition ------------------------------------------------------------------------- */

/* One character from UTF-8; what is none becomes U+FFFD, byte by byte. */
static uint32_t next_char(const uint8_t **at, const uint8_t *end)
{
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
	const uint8_t *p = *at;
	uint32_t c = *p;
	unsigned more = c < 0x80 ? 0 : c >> 5 == 6 ? 1 : c >> 4 == 14 ? 2 : c >> 3 == 30 ? 3 : 4;

	*at = p + 1;
	if (more == 0)
		return c;
	if (more == 4 || (size_t)(end - p) <= more)
		return 0xfffd;
	c &= 0x3fu >> more;
	for (unsigned i = 1; i <= more; i++) {
		if (p[i] >> 6 != 2)
			return 0xfffd;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0xfffd;
	*at = p + 1 + more;
	return c;
}

int32_t sl_java_hash(struct sl_slice text)
{
	const uint8_t *p = text.p, *end = p + text.len;
	uint32_t h = 0;

	while (p < end) { /* over UTF-16 units */
		uint32_t c = next_char(&p, end);
		if (c >= 0x10000) {
			h = h * 31 + (0xd800 + ((c - 0x10000) >> 10));
			c = 0xdc00 + ((c - 0x10000) & 0x3ff);
		}
		h = h * 31 + c;
	}
	return (int32_t)h;
}

uint32_t sl_group_partition(struct sl_slice group, uint32_t partitions)
{
	int32_t h = sl_java_hash(group);
	uint32_t a = h == INT32_MIN ? 0 : h < 0 ? (uint32_t)-h : (uint32_t)h;
	return a % partitions;
}

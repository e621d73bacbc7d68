/* SPDX-License-Identifier: Apache-2.0 */
#include "position.h"

#include <errno.h>
#include <stdio.h>

#define VERSION    1
#define ID_HEX_LEN 32

static const char hex_digits[] = "0123456789abcdef";

/* ---- members: one table for writing and reading ---------------------------------------------- */

enum type {
	T_VERSION,
	T_NAME,
	T_TOPIC,
	T_TOKEN,
	T_TOKEN_OR_NONE,
	T_ID,
	T_BOOL,
	T_INT,
	T_EPOCH,
	T_INT64,
	T_UINT64
};

struct member {
	const char *name;
	enum type type;
	size_t off; /* in the struct */
};

#define CLAIM(f)    offsetof(struct sl_claim, f)
#define POSITION(f) offsetof(struct sl_position, f)

static const struct member claim_members[] = {
	{"v", T_VERSION, 0},
	{"gateway", T_NAME, CLAIM(gateway)},
	{"instance", T_TOKEN, CLAIM(instance)},
	{"previous", T_TOKEN_OR_NONE, CLAIM(previous)},
	{"adopted", T_BOOL, CLAIM(adopted)},
	{"since_ms", T_INT64, CLAIM(since_ms)},
};

static const struct member position_members[] = {
	{"v", T_VERSION, 0},
	{"gateway", T_NAME, POSITION(gateway)},
	{"topic", T_TOPIC, POSITION(topic)},
	{"topic_id", T_ID, POSITION(topic_id)},
	{"partition", T_INT, POSITION(partition)},
	{"offset", T_INT64, POSITION(offset)},
	{"leader_epoch", T_EPOCH, POSITION(leader_epoch)},
	{"instance", T_TOKEN, POSITION(instance)},
	{"previous", T_TOKEN_OR_NONE, POSITION(previous)},
	{"first", T_INT64, POSITION(first)},
	{"forwarded", T_UINT64, POSITION(forwarded)},
	{"dead_letter", T_UINT64, POSITION(dead_letter)},
	{"evicted_unsent", T_UINT64, POSITION(evicted_unsent)},
	{"missing", T_UINT64, POSITION(missing)},
};
_Static_assert(SL_ARRAY_SIZE(position_members) <= 32, "their bits fit a word");

/* ---- writing --------------------------------------------------------------------------------- */

static void id_to_hex(const uint8_t id[16], char out[ID_HEX_LEN + 1])
{
	for (int i = 0; i < 16; i++) {
		out[2 * i] = hex_digits[id[i] >> 4];
		out[2 * i + 1] = hex_digits[id[i] & 15];
	}
	out[ID_HEX_LEN] = 0;
}

/* The member's value as JSON. Names and tokens have no character that would need an escape. */
static int put_value(char *p, size_t cap, const struct member *m, const void *from)
{
	const char *at = (const char *)from + m->off;
	char id[ID_HEX_LEN + 1];

	switch (m->type) {
	case T_VERSION:
		return snprintf(p, cap, "%d", VERSION);
	case T_NAME:
	case T_TOPIC:
	case T_TOKEN:
	case T_TOKEN_OR_NONE:
		return snprintf(p, cap, "\"%s\"", at);
	case T_ID:
		id_to_hex((const uint8_t *)at, id);
		return snprintf(p, cap, "\"%s\"", id);
	case T_BOOL:
		return snprintf(p, cap, "%s", *(const bool *)at ? "true" : "false");
	case T_INT:
	case T_EPOCH:
		return snprintf(p, cap, "%d", *(const int32_t *)(const void *)at);
	case T_INT64:
		return snprintf(p, cap, "%lld", (long long)*(const int64_t *)(const void *)at);
	case T_UINT64:
		return snprintf(p, cap, "%llu",
				(unsigned long long)*(const uint64_t *)(const void *)at);
	}
	return -1;
}

static int put_object(char *val, size_t cap, const struct member *m, size_t cnt, const void *from)
{
	size_t len = 0;

	for (size_t i = 0; i < cnt; i++) {
		int n = snprintf(val + len, cap - len, "%c\"%s\":", i ? ',' : '{', m[i].name);

		if (n < 0 || (size_t)n >= cap - len)
			return -EMSGSIZE;
		len += (size_t)n;
		n = put_value(val + len, cap - len, &m[i], from);
		if (n < 0 || (size_t)n >= cap - len)
			return -EMSGSIZE;
		len += (size_t)n;
	}
	if (cap - len < 2)
		return -EMSGSIZE;
	val[len++] = '}';
	val[len] = 0;
	return (int)len;
}

int sl_claim_encode(const struct sl_claim *c, char *key, size_t key_cap, char *val, size_t val_cap)
{
	int n = snprintf(key, key_cap, "%s", c->gateway);

	if (n < 0 || (size_t)n >= key_cap)
		return -EMSGSIZE;
	return put_object(val, val_cap, claim_members, SL_ARRAY_SIZE(claim_members), c);
}

int sl_position_encode(const struct sl_position *p, char *key, size_t key_cap, char *val,
		       size_t val_cap)
{
	char id[ID_HEX_LEN + 1];
	int n;

	id_to_hex(p->topic_id, id);
	n = snprintf(key, key_cap, "%s/%s/%d", p->gateway, id, p->partition);
	if (n < 0 || (size_t)n >= key_cap)
		return -EMSGSIZE;
	return put_object(val, val_cap, position_members, SL_ARRAY_SIZE(position_members), p);
}

/* ---- reading: tokens ------------------------------------------------------------------------- */

struct rd { /* `bad` is sticky */
	const char *p, *end;
	bool bad;
};

static void skip_space(struct rd *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

/* True, and over it, if `c` is next. */
static bool take(struct rd *r, char c)
{
	skip_space(r);
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

static void want(struct rd *r, char c)
{
	if (!take(r, c))
		r->bad = true;
}

/* What stands between two quotes; escapes are not understood, control bytes are not JSON. */
static struct sl_slice get_string(struct rd *r)
{
	struct sl_slice s = {(const uint8_t *)"", 0};
	const char *from;

	want(r, '"');
	if (r->bad)
		return s;
	for (from = r->p; r->p < r->end && *r->p != '"'; r->p++) {
		if (*r->p == '\\' || (unsigned char)*r->p < 0x20)
			r->bad = true;
	}
	s = (struct sl_slice){(const uint8_t *)from, (uint32_t)(r->p - from)};
	want(r, '"');
	return s;
}

/* An integer as JSON has it: no leading zeros, no plus; -0 is refused too. */
static int64_t get_int(struct rd *r)
{
	bool neg;
	int64_t v = 0;
	const char *from;

	skip_space(r);
	neg = r->p < r->end && *r->p == '-';
	if (neg)
		r->p++;
	for (from = r->p; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++) {
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *r->p - '0', &v))
			r->bad = true;
	}
	if (r->p == from || (*from == '0' && (r->p - from > 1 || neg)))
		r->bad = true;
	return r->bad ? 0 : neg ? -v : v;
}

static bool get_bool(struct rd *r)
{
	skip_space(r);
	for (int b = 0; b < 2; b++) {
		const char *word = b ? "true" : "false";
		size_t n = strlen(word);

		if ((size_t)(r->end - r->p) >= n && !memcmp(r->p, word, n)) {
			r->p += n;
			return b;
		}
	}
	r->bad = true;
	return false;
}

/* Of a member that a later version added. */
static void skip_value(struct rd *r)
{
	skip_space(r);
	if (r->p == r->end)
		r->bad = true;
	else if (*r->p == '"')
		(void)get_string(r);
	else if (*r->p == 't' || *r->p == 'f')
		(void)get_bool(r);
	else
		(void)get_int(r);
}

/* ---- reading: values ------------------------------------------------------------------------- */

/* Both digits of a byte, lower case; < 0: it is none. */
static int hex_byte(const uint8_t *p)
{
	const char *hi = p[0] ? strchr(hex_digits, p[0]) : NULL;
	const char *lo = p[1] ? strchr(hex_digits, p[1]) : NULL;

	return hi && lo ? (int)((hi - hex_digits) << 4 | (lo - hex_digits)) : -1;
}

static bool hex_to_id(struct sl_slice s, uint8_t id[16])
{
	if (s.len != ID_HEX_LEN)
		return false;
	for (int i = 0; i < 16; i++) {
		int b = hex_byte(s.p + 2 * i);

		if (b < 0)
			return false;
		id[i] = (uint8_t)b;
	}
	return true;
}

static bool set_text(char *to, size_t cap, struct sl_slice s, bool ok)
{
	if (!ok || s.len >= cap)
		return false;
	memcpy(to, s.p, s.len);
	to[s.len] = 0;
	return true;
}

static bool set_token(char *to, struct sl_slice s, bool or_none)
{
	uint8_t bytes[16];

	return set_text(to, SL_TOKEN_TEXT, s, (or_none && s.len == 0) || hex_to_id(s, bytes));
}

static bool set_int(int32_t *to, int64_t v, int64_t min)
{
	if (v < min || v > INT32_MAX)
		return false;
	*to = (int32_t)v;
	return true;
}

/* False: it is not what the member must be. */
static bool get_value(struct rd *r, const struct member *m, void *into)
{
	char *at = (char *)into + m->off;
	struct sl_slice s;
	int64_t v;

	switch (m->type) {
	case T_VERSION:
		return get_int(r) == VERSION;
	case T_NAME:
		s = get_string(r);
		return set_text(at, SL_CFG_NAME_MAX, s,
				sl_topic_name_valid((const char *)s.p, s.len));
	case T_TOPIC:
		s = get_string(r);
		return set_text(at, SL_TOPIC_NAME_MAX + 1, s,
				sl_topic_name_valid((const char *)s.p, s.len));
	case T_TOKEN:
	case T_TOKEN_OR_NONE:
		return set_token(at, get_string(r), m->type == T_TOKEN_OR_NONE);
	case T_ID:
		return hex_to_id(get_string(r), (uint8_t *)at);
	case T_BOOL:
		*(bool *)at = get_bool(r);
		return true;
	case T_INT:
	case T_EPOCH:
		return set_int((int32_t *)(void *)at, get_int(r), m->type == T_INT ? 0 : -1);
	case T_INT64:
	case T_UINT64:
		v = get_int(r);
		*(int64_t *)(void *)at = v;
		return v >= 0;
	}
	return false;
}

static const struct member *find_member(const struct member *m, size_t cnt, struct sl_slice name,
					uint32_t *ret_bit)
{
	for (size_t i = 0; i < cnt; i++) {
		if (name.len == strlen(m[i].name) && !memcmp(name.p, m[i].name, name.len)) {
			*ret_bit = 1u << i;
			return &m[i];
		}
	}
	return NULL;
}

static int get_object(struct sl_slice val, const struct member *members, size_t cnt, void *into)
{
	struct rd r = {(const char *)val.p, (const char *)val.p + val.len, false};
	uint32_t seen = 0, bit = 0;

	want(&r, '{');
	do {
		struct sl_slice name = get_string(&r);
		const struct member *m = find_member(members, cnt, name, &bit);

		want(&r, ':');
		if (r.bad || (m && (seen & bit)))
			return -EILSEQ;
		if (!m)
			skip_value(&r);
		else if (!get_value(&r, m, into))
			return -EILSEQ;
		else
			seen |= bit;
	} while (!r.bad && take(&r, ','));
	want(&r, '}');
	skip_space(&r);
	return r.bad || r.p != r.end || seen != (uint32_t)((1ull << cnt) - 1) ? -EILSEQ : 0;
}

/* ---- records --------------------------------------------------------------------------------- */

static int decode_claim(const char *gateway, struct sl_slice val, struct sl_claim *ret_claim)
{
	struct sl_claim c;

	memset(&c, 0, sizeof(c));
	if (get_object(val, claim_members, SL_ARRAY_SIZE(claim_members), &c) ||
	    strcmp(c.gateway, gateway) != 0)
		return -EILSEQ;
	*ret_claim = c;
	return 0;
}

/* Sums of what may be anything: without a wrap. */
static bool adds_up(const struct sl_position *p)
{
	const uint64_t part[] = {p->forwarded, p->dead_letter, p->evicted_unsent, p->missing};
	uint64_t left;

	if (p->first > p->offset)
		return false;
	left = (uint64_t)(p->offset - p->first);
	for (size_t i = 0; i < SL_ARRAY_SIZE(part); i++) {
		if (part[i] > left)
			return false;
		left -= part[i];
	}
	return left == 0;
}

static int decode_position(const char *gateway, struct sl_slice key, struct sl_slice val,
			   struct sl_position *ret_pos)
{
	struct sl_position p;
	char want_key[SL_POS_KEY_MAX + 1], id[ID_HEX_LEN + 1];
	int n;

	memset(&p, 0, sizeof(p));
	if (get_object(val, position_members, SL_ARRAY_SIZE(position_members), &p) ||
	    strcmp(p.gateway, gateway) != 0 || p.partition >= SL_PARTITIONS_MAX || !adds_up(&p))
		return -EILSEQ;
	id_to_hex(p.topic_id, id);
	n = snprintf(want_key, sizeof(want_key), "%s/%s/%d", gateway, id, p.partition);
	if ((uint32_t)n != key.len || memcmp(key.p, want_key, key.len) != 0)
		return -EILSEQ;
	*ret_pos = p;
	return 0;
}

bool sl_pos_key_ours(const char *gateway, struct sl_slice key)
{
	size_t n = strlen(gateway);

	return key.p && key.len >= n && !memcmp(key.p, gateway, n) &&
	       (key.len == n || key.p[n] == '/');
}

int sl_pos_decode(const char *gateway, struct sl_slice key, struct sl_slice val,
		  enum sl_pos_kind *ret_kind, struct sl_claim *ret_claim,
		  struct sl_position *ret_pos)
{
	bool claim;
	int rc;

	if (!sl_pos_key_ours(gateway, key) || !val.p) {
		*ret_kind = SL_POS_OTHER;
		return 0;
	}
	claim = key.len == strlen(gateway);
	if (val.len > SL_POS_VALUE_MAX || key.len > SL_POS_KEY_MAX)
		return -EILSEQ;
	rc = claim ? decode_claim(gateway, val, ret_claim)
		   : decode_position(gateway, key, val, ret_pos);
	if (!rc)
		*ret_kind = claim ? SL_POS_CLAIM : SL_POS_POSITION;
	return rc;
}

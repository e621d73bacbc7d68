/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syslog: RFC 5424 if "<PRI>1 " is in front, RFC 3164 otherwise. The value is the message as
 * received. Nothing that a sender writes makes us refuse it, an empty datagram excepted; what does
 * not parse is noted, its fields count as missing, and PRI is then 13 (RFC 3164 section 4.3.3).
 *
 * A RFC 3164 message may carry a RFC 3339 date instead of its own: most relays send that today.
 */
#include "decode.h"

#include "syslog_date.h"
#include "syslog_sd.h"
#include "text_scan.h"

enum {
	PRI_DEFAULT = 13, /* user, notice */
	PRI_MAX = 191,
	HOST_MAX = 255, /* RFC 5424 section 6 */
	APP_MAX = 48,
	PROCID_MAX = 128,
	MSGID_MAX = 32,
};

/* RFC 5427, section 3. */
static const struct sl_slice facilities[] = {
	SL_LIT("kern"),     SL_LIT("user"),   SL_LIT("mail"),   SL_LIT("daemon"), SL_LIT("auth"),
	SL_LIT("syslog"),   SL_LIT("lpr"),    SL_LIT("news"),   SL_LIT("uucp"),   SL_LIT("cron"),
	SL_LIT("authpriv"), SL_LIT("ftp"),    SL_LIT("ntp"),    SL_LIT("audit"),  SL_LIT("console"),
	SL_LIT("cron2"),    SL_LIT("local0"), SL_LIT("local1"), SL_LIT("local2"), SL_LIT("local3"),
	SL_LIT("local4"),   SL_LIT("local5"), SL_LIT("local6"), SL_LIT("local7"),
};
static const struct sl_slice severities[] = {
	SL_LIT("emerg"),   SL_LIT("alert"),  SL_LIT("crit"), SL_LIT("err"),
	SL_LIT("warning"), SL_LIT("notice"), SL_LIT("info"), SL_LIT("debug"),
};
_Static_assert(SL_ARRAY_SIZE(facilities) * SL_ARRAY_SIZE(severities) == PRI_MAX + 1, "PRI range");

struct fields {
	unsigned pri;
	struct sl_slice time, app;
};

/*
 * Bytes of "<PRI>", or 0 if there is none: one to three digits, no leading zero, at most 191. Two
 * or three digits come as they like, so there is no branch on them (14 cycles less a message).
 */
SL_INLINE uint32_t parse_pri(const uint8_t *p, uint32_t len, unsigned *ret_pri)
{
	uint32_t w = 0;

	if (len < 3 || p[0] != '<')
		return 0;
	if (sl_likely(len >= 5))
		memcpy(&w, p + 1, 4);
	else
		for (uint32_t i = 1; i < len; i++)
			w |= (uint32_t)p[i] << 8 * (i - 1);
	uint32_t x = w ^ 0x3e3e3e3e; /* a zero byte is a '>' */
	uint32_t gt = (x - 0x01010101) & ~x & 0x80808080;
	unsigned n = (unsigned)__builtin_ctz(gt | 1u << 31) / 8; /* bytes before it: 0 .. 3 */
	uint32_t d = n && gt ? (w ^ 0x30303030) << (32 - 8 * n) >> 8 : UINT32_MAX;
	unsigned v = (d & 0xff) * 100 + (d >> 8 & 0xff) * 10 + (d >> 16 & 0xff);
	bool digits = (((d + 0x00767676) | d) & 0xff808080) == 0;
	if (!digits || v > PRI_MAX || (n > 1 && p[1] == '0'))
		return 0;
	*ret_pri = v;
	return n + 2;
}

/* A message under the parser's finger. */
struct cur {
	const uint8_t *msg;
	uint32_t at, len;
	struct sl_text_scan scan;
};

/* One word up to a blank or the end; empty or beyond max: p is NULL. Moves behind the blank. */
SL_INLINE struct sl_slice word(struct cur *c, uint32_t max)
{
	uint32_t at = c->at, end = sl_text_blank(&c->scan, c->msg, c->len, at), n = end - at;

	c->at = end + (end < c->len);
	return n && n <= max ? (struct sl_slice){.p = c->msg + at, .len = n}
			     : (struct sl_slice){.p = NULL};
}

SL_INLINE struct sl_slice not_nil(struct sl_slice s)
{
	return s.len == 1 && s.p[0] == '-' ? (struct sl_slice){.p = NULL} : s;
}

/* ---- the two kinds -----------------------------------------------------------------------------
 */

/* What exists in more than one form, chosen by the processor. */
struct forms {
	void (*scan)(const uint8_t *p, uint32_t len, struct sl_text_scan *ret);
	bool (*sd_ok)(const uint8_t *msg, const uint8_t *p, const uint8_t *end);
};

/* c is behind "<PRI>1 ". */
SL_INLINE void parse_5424(struct cur *c, const struct forms *by, struct fields *f,
			  struct sl_decoded *ret)
{
	ret->notes |= SL_NOTE(SYSLOG_RFC5424);
	struct sl_slice time = word(c, SL_DATE_5424_MAX);
	if (!time.p) {
		ret->notes |= SL_NOTE(SYSLOG_BAD_DATE);
	} else if (not_nil(time).p) {
		if (sl_date_5424(time.p, time.p + time.len) == time.len)
			f->time = time;
		else
			ret->notes |= SL_NOTE(SYSLOG_BAD_DATE);
	}
	ret->host = not_nil(word(c, HOST_MAX));
	f->app = not_nil(word(c, APP_MAX));
	struct sl_slice procid = word(c, PROCID_MAX), msgid = word(c, MSGID_MAX);
	const uint8_t *sd = c->msg + c->at, *end = c->msg + c->len;
	if (!procid.p || !msgid.p ||
	    !(sl_likely(c->scan.printable) ? by->sd_ok(c->msg, sd, end) : sl_sd_ok_scalar(sd, end)))
		ret->notes |= SL_NOTE(SYSLOG_BAD_SD);
}

/* TAG: the name of the program, ended by "[pid]", ":" or a blank (RFC 3164 section 4.1.3). */
static struct sl_slice tag_name(struct sl_slice w)
{
	uint32_t n = 0;

	while (n < w.len && w.p[n] != '[' && w.p[n] != ':')
		n++;
	return n && n <= APP_MAX ? (struct sl_slice){.p = w.p, .len = n}
				 : (struct sl_slice){.p = NULL};
}

SL_INLINE bool looks_like_tag(struct sl_slice w)
{
	return w.len && (w.p[w.len - 1] == ':' || w.p[w.len - 1] == ']');
}

/* c is behind PRI, if there was one. */
SL_INLINE void parse_3164(struct cur *c, uint32_t wanted, struct fields *f, struct sl_decoded *ret)
{
	const uint8_t *p = c->msg + c->at, *end = c->msg + c->len;

	ret->notes |= SL_NOTE(SYSLOG_RFC3164);
	uint32_t n = sl_date_3164(p, end);
	if (!n)
		n = sl_date_5424(p, end);
	if (!n || (p + n < end && p[n] != ' ')) {
		ret->notes |= SL_NOTE(SYSLOG_BAD_DATE);
		return;
	}
	f->time = (struct sl_slice){.p = p, .len = n};
	c->at += n + (p + n < end);
	struct sl_slice first = word(c, HOST_MAX);
	if (looks_like_tag(first)) { /* a local message without a host */
		f->app = tag_name(first);
		return;
	}
	ret->host = not_nil(first);
	if (wanted & SL_HDR_APP)
		f->app = tag_name(word(c, HOST_MAX));
}

SL_INLINE void add_header(struct sl_decoded *ret, uint32_t wanted, uint32_t bit,
			  struct sl_slice name, struct sl_slice value)
{
	if ((wanted & bit) && value.p)
		sl_decoded_hdr(ret, name, value);
}

static void add_headers(struct sl_decoded *ret, uint32_t wanted, const struct fields *f)
{
	add_header(ret, wanted, SL_HDR_FACILITY, SL_LIT("facility"), facilities[f->pri >> 3]);
	add_header(ret, wanted, SL_HDR_SEVERITY, SL_LIT("severity"), severities[f->pri & 7]);
	add_header(ret, wanted, SL_HDR_HOST, SL_LIT("host"), ret->host);
	add_header(ret, wanted, SL_HDR_APP, SL_LIT("app"), f->app);
	add_header(ret, wanted, SL_HDR_TIME, SL_LIT("time"), f->time);
}

SL_INLINE enum sl_frame_row decode(struct sl_slice payload, uint32_t wanted, const struct forms *by,
				   struct sl_decoded *ret)
{
	struct cur c = {.msg = payload.p, .len = payload.len};
	struct fields f = {.pri = PRI_DEFAULT};

	sl_decoded_clear(ret);
	if (sl_unlikely(c.len == 0))
		return SL_FR_REFUSED_EMPTY;
	by->scan(c.msg, c.len, &c.scan);
	if (sl_unlikely(!c.scan.printable) && !sl_text_is_plain(c.msg, c.len))
		ret->notes |= SL_NOTE(SYSLOG_BINARY);
	c.at = parse_pri(c.msg, c.len, &f.pri);
	if (c.at == 0)
		ret->notes |= SL_NOTE(SYSLOG_NO_PRI);
	if (c.at && c.len - c.at >= 2 && c.msg[c.at] == '1' && c.msg[c.at + 1] == ' ') {
		c.at += 2;
		parse_5424(&c, by, &f, ret);
	} else {
		parse_3164(&c, wanted, &f, ret);
	}
	if (wanted)
		add_headers(ret, wanted, &f);
	return SL_FR_ACCEPTED;
}

/* The forms are constants: the compiler sees direct calls. */
static enum sl_frame_row decode_syslog(struct sl_slice payload, uint32_t wanted,
				       struct sl_decoded *ret)
{
	const struct forms by = {sl_text_scan, sl_sd_ok_printable};

	return decode(payload, wanted, &by, ret);
}

SL_AVX2 static enum sl_frame_row decode_syslog_avx2(struct sl_slice payload, uint32_t wanted,
						    struct sl_decoded *ret)
{
	const struct forms by = {sl_text_scan_avx2, sl_sd_ok_printable_avx2};

	return decode(payload, wanted, &by, ret);
}

const struct sl_decoder sl_decoder_syslog_avx2 = {
	.protocol = SL_PROTO_SYSLOG,
	.name = "syslog",
	.decode = decode_syslog_avx2,
	.has_host = true,
};

const struct sl_decoder sl_decoder_syslog = {
	.protocol = SL_PROTO_SYSLOG,
	.name = "syslog",
	.decode = decode_syslog,
	.has_host = true,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <time.h>

#include "log_line.h"

static const struct {
	const char *name; /* padded to one width, so that lines align */
	int priority;     /* syslog's, for the journal */
} levels[] = {
	[SL_LOG_ERROR] = {"error", 3},
	[SL_LOG_WARN] = {"warn ", 4},
	[SL_LOG_INFO] = {"info ", 6},
	[SL_LOG_DEBUG] = {"debug", 7},
};

/* Bytes of a well-formed, printable UTF-8 sequence at p (RFC 3629), 0 if there is none. */
static unsigned utf8_len(const unsigned char *p)
{
	static const struct {
		unsigned char lo, hi;   /* of the first byte */
		unsigned char lo2, hi2; /* of the second; excludes overlongs, surrogates, C1 */
		unsigned char len;
	} forms[] = {
		{0xc2, 0xc2, 0xa0, 0xbf, 2}, {0xc3, 0xdf, 0x80, 0xbf, 2},
		{0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
		{0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	if (p[0] >= 0x20 && p[0] < 0x7f)
		return 1;
	for (size_t i = 0; i < SL_ARRAY_SIZE(forms); i++) {
		if (p[0] < forms[i].lo || p[0] > forms[i].hi)
			continue;
		if (p[1] < forms[i].lo2 || p[1] > forms[i].hi2)
			return 0;
		for (unsigned k = 2; k < forms[i].len; k++)
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].len;
	}
	return 0;
}

/* Writes what stands for the byte(s) at p; returns how many were read. `out` has 4 bytes. */
static unsigned escape(const unsigned char *p, char *out, unsigned *ret_out)
{
	static const char hex[] = "0123456789abcdef";
	unsigned n = utf8_len(p);

	if (n) {
		memcpy(out, p, n);
		*ret_out = n;
		return n;
	}
	out[0] = '\\';
	*ret_out = 2;
	switch (*p) {
	case '\n':
		out[1] = 'n';
		break;
	case '\r':
		out[1] = 'r';
		break;
	case '\t':
		out[1] = 't';
		break;
	default:
		out[1] = 'x';
		out[2] = hex[*p >> 4];
		out[3] = hex[*p & 15];
		*ret_out = 4;
	}
	return 1;
}

/* Appends text escaped; stops short of `end` at a whole character. False if it did not fit. */
static bool append(char **at, const char *end, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	while (*p) {
		char out[4];
		unsigned n;
		unsigned used = escape(p, out, &n);

		if (*at + n > end)
			return false;
		memcpy(*at, out, n);
		*at += n;
		p += used;
	}
	return true;
}

static int put_head(char *line, enum sl_log_level l, bool journal, int64_t wall_ms)
{
	time_t s = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (journal)
		return snprintf(line, SL_LOG_LINE_MAX, "<%d>", levels[l].priority);
	if (!gmtime_r(&s, &tm))
		memset(&tm, 0, sizeof(tm));
	return snprintf(line, SL_LOG_LINE_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s ",
			tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
			tm.tm_sec, (int)(wall_ms % 1000), levels[l].name);
}

size_t sl_log_line(char *line, enum sl_log_level l, bool journal, int64_t wall_ms, const char *area,
		   const char *msg)
{
	char *at = line + put_head(line, l, journal, wall_ms);
	const char *end = line + SL_LOG_LINE_MAX - 4; /* "..." and the newline always fit */

	if (!append(&at, end, area) || !append(&at, end, ": ") || !append(&at, end, msg)) {
		memcpy(at, "...", 3);
		at += 3;
	}
	*at++ = '\n';
	return (size_t)(at - line);
}

bool sl_log_limit_take(struct sl_log_limit *lim, uint64_t now_ms, uint32_t *ret_held)
{
	uint64_t start = atomic_load_explicit(&lim->window_start_ms, memory_order_relaxed);

	*ret_held = 0;
	/* Whoever moves the window empties it; a few lines too many under contention do no harm. */
	if ((start == 0 || now_ms - start >= lim->window_ms) &&
	    atomic_compare_exchange_strong_explicit(&lim->window_start_ms, &start, now_ms,
						    memory_order_relaxed, memory_order_relaxed))
		atomic_store_explicit(&lim->used, 0, memory_order_relaxed);
	if (atomic_load_explicit(&lim->used, memory_order_relaxed) >= lim->burst ||
	    atomic_fetch_add_explicit(&lim->used, 1, memory_order_relaxed) >= lim->burst) {
		atomic_fetch_add_explicit(&lim->held, 1, memory_order_relaxed);
		return false;
	}
	*ret_held = atomic_exchange_explicit(&lim->held, 0, memory_order_relaxed);
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/config/values.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit SIZE_UNITS[] = {
	{"TiB", 1ull << 40},
	{"GiB", 1ull << 30},
	{"MiB", 1ull << 20},
	{"KiB", 1ull << 10},
	{"B", 1},
};
static const struct unit RATE_UNITS[] = {
	{"GiB/s", 1ull << 30}, {"GB/s", 1000000000ull}, {"MiB/s", 1ull << 20}, {"MB/s", 1000000ull},
	{"KiB/s", 1ull << 10}, {"KB/s", 1000ull},       {"B/s", 1ull},
};
static const struct unit TIME_UNITS[] = {
	{"d", 86400000000000ull},
	{"h", 3600000000000ull},
	{"m", 60000000000ull},
	{"s", 1000000000ull},
	{"ms", 1000000ull},
	{"us", 1000ull},
	{"ns", 1ull},
};

/* Digits at *ps; leaves *ps behind them. */
static int digits(const char **ps, uint64_t *ret)
{
	const char *p = *ps;
	uint64_t v = 0;

	if (!isdigit((unsigned char)*p))
		return -EINVAL;
	for (; isdigit((unsigned char)*p); p++) {
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return -ERANGE;
	}
	*ps = p;
	*ret = v;
	return 0;
}

int sl_value_int(const char *s, int64_t *ret)
{
	bool neg = *s == '-';
	uint64_t v;
	int rc;

	if (neg)
		s++;
	rc = digits(&s, &v);
	if (rc < 0)
		return rc;
	if (*s)
		return *s == '.' ? -EINVAL : -ENOENT;
	if (v > (uint64_t)INT64_MAX + neg)
		return -ERANGE;
	*ret = neg ? (int64_t)(0 - v) : (int64_t)v;
	return 0;
}

static int with_unit(const char *s, const struct unit *units, size_t cnt, uint64_t bare,
		     uint64_t *ret)
{
	uint64_t v, factor = 0;
	int rc = digits(&s, &v);

	if (rc < 0)
		return rc;
	if (*s == '.')
		return -EINVAL;
	if (*s == '\0')
		factor = v == 0 ? 1 : bare;
	for (size_t i = 0; *s && i < cnt; i++) {
		if (!strcmp(s, units[i].name))
			factor = units[i].factor;
	}
	if (factor == 0)
		return -ENOENT;
	return __builtin_mul_overflow(v, factor, ret) ? -ERANGE : 0;
}

int sl_value_size(const char *s, uint64_t *ret_bytes)
{
	uint64_t v;
	int rc = with_unit(s, SIZE_UNITS, SL_ARRAY_SIZE(SIZE_UNITS), 1, &v);

	if (rc == 0)
		*ret_bytes = v;
	return rc;
}

int sl_value_duration(const char *s, uint64_t *ret_ns)
{
	uint64_t v;
	int rc = with_unit(s, TIME_UNITS, SL_ARRAY_SIZE(TIME_UNITS), 0, &v);

	if (rc == 0)
		*ret_ns = v;
	return rc;
}

int sl_value_rate(const char *s, uint64_t *ret_bytes)
{
	uint64_t v;
	int rc = with_unit(s, RATE_UNITS, SL_ARRAY_SIZE(RATE_UNITS), 0, &v);

	if (rc == 0)
		*ret_bytes = v;
	return rc;
}

int sl_value_percent(const char *s, double *ret_fraction)
{
	uint64_t whole, part = 0, scale = 1;
	int rc = digits(&s, &whole);

	if (rc < 0)
		return rc;
	if (*s == '.') {
		const char *from = ++s;
		rc = digits(&s, &part);
		if (rc < 0 || s - from > 6)
			return -EINVAL;
		for (; from < s; from++)
			scale *= 10;
	}
	if (strcmp(s, "%"))
		return -ENOENT;
	if (whole > 100 || (whole == 100 && part))
		return -ERANGE;
	*ret_fraction = ((double)whole + (double)part / (double)scale) / 100;
	return 0;
}

int sl_value_cpus(const char *s, struct sl_cfg_cpus *ret)
{
	for (;;) {
		uint64_t a, b;
		int rc;
		while (*s == ' ')
			s++;
		rc = digits(&s, &a);
		b = a;
		if (rc == 0 && *s == '-') {
			s++;
			rc = digits(&s, &b);
		}
		if (rc < 0)
			return rc;
		if (b > UINT16_MAX || a > b)
			return -ERANGE;
		for (; a <= b; a++) {
			if (ret->cnt == SL_CFG_CPUS_MAX)
				return -E2BIG;
			ret->cpu[ret->cnt++] = (uint16_t)a;
		}
		while (*s == ' ')
			s++;
		if (*s == '\0')
			return 0;
		if (*s++ != ',')
			return -EINVAL;
	}
}

int sl_value_addr(const char *s, struct sl_cfg_addr *ret)
{
	struct sl_cfg_addr a = {0};

	if (inet_pton(AF_INET, s, a.ip) == 1)
		a.family = 4;
	else if (inet_pton(AF_INET6, s, a.ip) == 1)
		a.family = 6;
	else
		return -EINVAL;
	*ret = a;
	return 0;
}

/* Letters, digits, '-', '.', '_' of a name or an IPv4 address. */
static bool host_valid(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)s[i]) && !strchr("-._", s[i]))
			return false;
	}
	return len > 0 && s[0] != '-' && s[0] != '.';
}

bool sl_value_is_host(const char *s, size_t len)
{
	char v6[INET6_ADDRSTRLEN];
	struct in6_addr in6;

	if (host_valid(s, len))
		return true;
	if (len >= sizeof(v6))
		return false;
	memcpy(v6, s, len);
	v6[len] = '\0';
	return inet_pton(AF_INET6, v6, &in6) == 1;
}

int sl_value_hostport(const char *s, struct sl_cfg_listen *ret)
{
	bool v6 = *s == '[';
	const char *close = v6 ? strchr(s, ']') : strrchr(s, ':'), *host = v6 ? s + 1 : s, *p;
	struct sl_cfg_listen out = {0};
	struct in6_addr in6;
	uint64_t port;

	if (!close)
		return v6 ? -EINVAL : -ENOENT;
	p = v6 ? close + 1 : close;
	if (*p == '\0')
		return -ENOENT;
	if ((size_t)(close - host) >= sizeof(out.host))
		return -E2BIG;
	memcpy(out.host, host, (size_t)(close - host));
	if (*p++ != ':' || (v6 ? inet_pton(AF_INET6, out.host, &in6) != 1
			       : !host_valid(out.host, strlen(out.host))))
		return -EINVAL;
	if (*p == '\0')
		return -ENOENT;
	int rc = digits(&p, &port);
	if (rc < 0)
		return rc;
	if (*p)
		return -EINVAL;
	if (port > UINT16_MAX)
		return -ERANGE;
	out.port = (uint16_t)port;
	*ret = out;
	return 0;
}

int sl_value_slice(const char *s, uint16_t *ret_off, uint16_t *ret_len)
{
	static const char lead[] = "payload[";
	uint64_t a, b;

	if (strncmp(s, lead, sizeof(lead) - 1))
		return -EINVAL;
	s += sizeof(lead) - 1;
	int rc = digits(&s, &a);
	if (rc < 0 || *s++ != ':')
		return rc == -ERANGE ? rc : -EINVAL;
	rc = digits(&s, &b);
	if (rc < 0 || strcmp(s, "]"))
		return rc == -ERANGE ? rc : -EINVAL;
	if (b > UINT16_MAX || a >= b)
		return -ERANGE;
	*ret_off = (uint16_t)a;
	*ret_len = (uint16_t)(b - a);
	return 0;
}

static void unit_text(uint64_t v, const struct unit *units, size_t cnt, char *buf)
{
	for (size_t i = 0; i < cnt; i++) {
		if (v >= units[i].factor && v % units[i].factor == 0) {
			snprintf(buf, SL_VALUE_TEXT_MAX, "%llu%s",
				 (unsigned long long)(v / units[i].factor), units[i].name);
			return;
		}
	}
	snprintf(buf, SL_VALUE_TEXT_MAX, "0");
}

void sl_value_size_text(uint64_t bytes, char *buf)
{
	unit_text(bytes, SIZE_UNITS, SL_ARRAY_SIZE(SIZE_UNITS), buf);
}

void sl_value_rate_text(uint64_t bytes, char *buf)
{
	unit_text(bytes, RATE_UNITS, SL_ARRAY_SIZE(RATE_UNITS), buf);
}

void sl_value_duration_text(uint64_t ns, char *buf)
{
	unit_text(ns, TIME_UNITS, SL_ARRAY_SIZE(TIME_UNITS), buf);
}

#define DISTANCE_LEN_MAX 64

unsigned sl_value_distance(const char *a, const char *b, unsigned max)
{
	size_t la = strlen(a), lb = strlen(b);
	unsigned row[3][DISTANCE_LEN_MAX + 1];

	if (la > DISTANCE_LEN_MAX || lb > DISTANCE_LEN_MAX)
		return max + 1;
	for (size_t j = 0; j <= lb; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned *cur = row[i % 3], *prev = row[(i + 2) % 3], *two = row[(i + 1) % 3];
		cur[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned d = prev[j - 1] + (a[i - 1] != b[j - 1]);
			d = SL_MIN(d, SL_MIN(prev[j], cur[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d = SL_MIN(d, two[j - 2] + 1);
			cur[j] = d;
		}
	}
	return SL_MIN(row[la % 3][lb], max + 1);
}

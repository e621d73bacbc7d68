/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slt_payload.h - the numbered syslog message that slt_send sends and slt_verify recognises.
 *
 *   <134>1 2024-06-01T12:00:00Z dev-017 slt - - - s=0000000042 h=0123456789abcdef padding...
 *
 * The hash is FNV-1a (64 bit) over everything but its own sixteen digits; the padding is derived
 * from the number, so no two messages are alike and none can be guessed from its neighbours.
 */
#ifndef SLT_PAYLOAD_H
#define SLT_PAYLOAD_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SLT_PAYLOAD_MIN 96
#define SLT_PAYLOAD_MAX 1472

#define SLT_FNV_BASIS 0xcbf29ce484222325ull
#define SLT_FNV_PRIME 0x100000001b3ull

static inline uint64_t slt_fnv(uint64_t h, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)p[i]) * SLT_FNV_PRIME;
	return h;
}

/* Writes exactly `size` bytes, no NUL; SLT_PAYLOAD_MIN <= size <= SLT_PAYLOAD_MAX; seq < 10^10. */
static inline void slt_payload_make(char *buf, size_t size, uint64_t seq, unsigned device)
{
	static const char alphabet[] =
		"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ .";
	char head[SLT_PAYLOAD_MIN];
	int n = snprintf(head, sizeof(head),
			 "<134>1 2024-06-01T12:00:00Z dev-%03u slt - - - s=%010" PRIu64 " h=",
			 device % 1000, seq);
	size_t at = (size_t)n;
	memcpy(buf, head, at);
	size_t pad = at + 16;
	buf[pad++] = ' ';
	uint64_t x = (seq + 1) * 0x9e3779b97f4a7c15ull;
	for (size_t i = pad; i < size; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		buf[i] = alphabet[x & 63];
	}
	uint64_t h = slt_fnv(SLT_FNV_BASIS, buf, at);
	h = slt_fnv(h, buf + at + 16, size - at - 16);
	for (int i = 0; i < 16; i++)
		buf[at + (size_t)i] = "0123456789abcdef"[(h >> (60 - 4 * i)) & 15];
}

/* True, and the number, if these bytes are such a message, whole and unchanged. */
static inline bool slt_payload_check(const char *p, size_t size, uint64_t *ret_seq)
{
	if (size < SLT_PAYLOAD_MIN || memcmp(p, "<134>1 ", 7) != 0)
		return false;
	const char *s = memmem(p, SLT_PAYLOAD_MIN, " s=", 3);
	if (!s || (size_t)(s - p) + 32 > size || memcmp(s + 13, " h=", 3) != 0)
		return false;
	uint64_t seq = 0, want = 0;
	for (int i = 0; i < 10; i++) {
		if (s[3 + i] < '0' || s[3 + i] > '9')
			return false;
		seq = seq * 10 + (uint64_t)(s[3 + i] - '0');
	}
	size_t at = (size_t)(s - p) + 16;
	for (size_t i = 0; i < 16; i++) {
		char c = p[at + i];
		int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
		if (v < 0)
			return false;
		want = want << 4 | (uint64_t)v;
	}
	uint64_t h = slt_fnv(SLT_FNV_BASIS, p, at);
	h = slt_fnv(h, p + at + 16, size - at - 16);
	if (h != want)
		return false;
	*ret_seq = seq;
	return true;
}

#endif

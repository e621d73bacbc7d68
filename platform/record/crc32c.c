/* SPDX-License-Identifier: Apache-2.0 */
#include <isa-l/crc.h>

#include "crc32c.h"

#define LONG_RUN 256        /* bytes from which ISA-L's folding wins (frame_bench) */
#define ISAL_MAX (1u << 30) /* its length is an int */

/* Four bits at a time: 64 bytes of constants instead of a table to build at start. Reflected
 * polynomial 0x82f63b78. Only for processors without sse4.2, which are not worth more. */
static const uint32_t nibble[16] = {
	0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
	0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
	0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t sl_crc32c_table(uint32_t crc, const void *p, size_t len)
{
	const uint8_t *b = p;

	crc = ~crc;
	for (; len; len--, b++) {
		crc = (crc >> 4) ^ nibble[(crc ^ *b) & 15];
		crc = (crc >> 4) ^ nibble[(crc ^ (*b >> 4)) & 15];
	}
	return ~crc;
}

#if defined(__x86_64__)
static __attribute__((target("sse4.2"))) uint32_t insn(uint32_t crc, const uint8_t *b, size_t len)
{
	uint64_t c = ~crc;

	for (; len >= 8; len -= 8, b += 8) {
		uint64_t v;

		memcpy(&v, b, 8);
		c = __builtin_ia32_crc32di(c, v);
	}
	for (; len; len--, b++)
		c = __builtin_ia32_crc32qi((uint32_t)c, *b);
	return ~(uint32_t)c;
}

uint32_t sl_crc32c_insn(uint32_t crc, const void *p, size_t len)
{
	return __builtin_cpu_supports("sse4.2") ? insn(crc, p, len) : sl_crc32c_table(crc, p, len);
}
#else
uint32_t sl_crc32c_insn(uint32_t crc, const void *p, size_t len)
{
	return sl_crc32c_table(crc, p, len);
}
#endif

/* crc32_iscsi() takes and returns the register as it is: no inversion at either end. It reads
 * only, though its parameter is not const. */
uint32_t sl_crc32c_isal(uint32_t crc, const void *p, size_t len)
{
	union {
		const void *in;
		unsigned char *out;
	} u = {.in = p};

	while (len) {
		size_t n = SL_MIN(len, ISAL_MAX);

		crc = ~crc32_iscsi(u.out, (int)n, ~crc);
		u.out += n;
		len -= n;
	}
	return crc;
}

uint32_t sl_crc32c_more(uint32_t crc, const void *p, size_t len)
{
	return len >= LONG_RUN ? sl_crc32c_isal(crc, p, len) : sl_crc32c_insn(crc, p, len);
}

uint32_t sl_crc32c(const void *p, size_t len)
{
	return sl_crc32c_more(0, p, len);
}

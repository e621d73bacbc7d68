/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pcap_scan.h"

#define WINDOW        (1u << 20)
#define LINK_ETHERNET 1

enum {
	PCAP_HEADER = 24,
	PCAP_RECORD = 16,
	PCAP_LINK_OFF = 20,
	PCAP_CAPLEN_OFF = 8,
	NG_BLOCK = 8,
	NG_SECTION = 0x0a0d0d0a,
	NG_ORDER = 0x1a2b3c4d,
	NG_INTERFACE = 1,
	NG_OLD_PACKET = 2,
	NG_SIMPLE = 3,
	NG_PACKET = 6,
	NG_BLOCK_MAX = 16u << 20,
};

struct scan {
	int fd;
	uint64_t size, at; /* of the file; of the next thing to read */
	uint64_t win_at;
	uint32_t win_len;
	uint8_t *win;
	bool swap;
	uint32_t snaplen; /* pcapng: of the first interface */
	struct sl_pcap_info info;
	char *err;
	size_t errlen;
};

/* n (at most 64) bytes at `off`, or NULL beyond the end of the file. */
static const uint8_t *peek(struct scan *s, uint64_t off, uint32_t n)
{
	if (off + n > s->size)
		return NULL;
	if (off < s->win_at || off + n > s->win_at + s->win_len) {
		ssize_t got = pread(s->fd, s->win, WINDOW, (off_t)off);
		s->win_at = off;
		s->win_len = got > 0 ? (uint32_t)got : 0;
		if (s->win_len < n)
			return NULL;
	}
	return s->win + (off - s->win_at);
}

static uint32_t u32(const struct scan *s, const uint8_t *p)
{
	uint32_t v = sl_be32(p);
	return s->swap ? __builtin_bswap32(v) : v;
}

static uint16_t u16(const struct scan *s, const uint8_t *p)
{
	uint16_t v = sl_be16(p);
	return s->swap ? __builtin_bswap16(v) : v;
}

static int fail(struct scan *s, int rc, const char *what)
{
	snprintf(s->err, s->errlen, "%s at byte %llu", what, (unsigned long long)s->at);
	return rc;
}

static int one_frame(struct scan *s, uint32_t caplen, uint64_t end)
{
	if (caplen > SL_PCAP_FRAME_MAX)
		return fail(s, -EILSEQ, "has a frame longer than 256 KiB");
	if (end > s->size) {
		s->info.cut = true;
		return 0;
	}
	s->info.frames++;
	s->info.frame_max = SL_MAX(s->info.frame_max, caplen);
	return 0;
}

static int scan_classic(struct scan *s)
{
	const uint8_t *p = peek(s, 0, PCAP_HEADER);

	if (!p)
		return fail(s, -EILSEQ, "ends inside its header");
	if ((u32(s, p + PCAP_LINK_OFF) & 0xffff) != LINK_ETHERNET)
		return fail(s, -EPROTO, "holds no Ethernet frames: another link type");
	for (s->at = PCAP_HEADER; s->at < s->size && !s->info.cut;) {
		p = peek(s, s->at, PCAP_RECORD);
		if (!p) {
			s->info.cut = true;
			break;
		}
		uint32_t caplen = u32(s, p + PCAP_CAPLEN_OFF);
		int rc = one_frame(s, caplen, s->at + PCAP_RECORD + caplen);
		if (rc)
			return rc;
		s->at += PCAP_RECORD + (uint64_t)caplen;
	}
	return 0;
}

static int ng_interface(struct scan *s, uint32_t len)
{
	const uint8_t *p = len >= 20 ? peek(s, s->at + NG_BLOCK, 8) : NULL;

	if (!p)
		return fail(s, -EILSEQ, "has a damaged interface block");
	if (u16(s, p) != LINK_ETHERNET)
		return fail(s, -EPROTO, "holds no Ethernet frames: another link type");
	s->snaplen = u32(s, p + 4);
	return 0;
}

static int ng_frame(struct scan *s, uint32_t type, uint32_t len)
{
	bool simple = type == NG_SIMPLE;
	uint32_t head = simple ? 4 : 20; /* before the frame's bytes, after the block's header */
	const uint8_t *p = len >= NG_BLOCK + head + 4 ? peek(s, s->at + NG_BLOCK, head) : NULL;

	if (!p)
		return fail(s, -EILSEQ, "has a damaged packet block");
	uint32_t caplen = simple ? u32(s, p) : u32(s, p + 12);
	if (simple && s->snaplen)
		caplen = SL_MIN(caplen, s->snaplen);
	if (caplen > len - NG_BLOCK - head - 4)
		return fail(s, -EILSEQ, "has a packet block shorter than its frame");
	return one_frame(s, caplen, s->at + len);
}

static int ng_block(struct scan *s, const uint8_t *p, uint32_t *ret_len)
{
	uint32_t type = u32(s, p);

	if (type == NG_SECTION) { /* each section has its own byte order */
		const uint8_t *q = peek(s, s->at, NG_BLOCK + 4);
		if (!q)
			return fail(s, -EILSEQ, "ends inside its header");
		s->swap = sl_be32(q + NG_BLOCK) != NG_ORDER;
		if (u32(s, q + NG_BLOCK) != NG_ORDER)
			return fail(s, -EILSEQ, "has a damaged section header");
		p = q;
	}
	uint32_t len = u32(s, p + 4);
	if (len < 12 || len % 4 || len > NG_BLOCK_MAX)
		return fail(s, -EILSEQ, "has a damaged block");
	*ret_len = len;
	if (type == NG_INTERFACE)
		return ng_interface(s, len);
	if (type == NG_PACKET || type == NG_SIMPLE || type == NG_OLD_PACKET)
		return ng_frame(s, type, len);
	return 0;
}

static int scan_ng(struct scan *s)
{
	for (s->at = 0; s->at < s->size && !s->info.cut;) {
		uint32_t len = 0;
		const uint8_t *p = peek(s, s->at, NG_BLOCK);
		if (!p) {
			s->info.cut = true;
			break;
		}
		int rc = ng_block(s, p, &len);
		if (rc)
			return rc;
		s->at += len;
	}
	return 0;
}

static int scan_any(struct scan *s)
{
	static const uint32_t classic[] = {0xa1b2c3d4, 0xa1b23c4d};
	const uint8_t *p = peek(s, 0, 4);

	if (s->size > SL_PCAP_FILE_MAX)
		return fail(s, -EFBIG, "is larger than 4 GiB; split it (editcap -c)");
	for (size_t i = 0; p && i < SL_ARRAY_SIZE(classic); i++) {
		if (sl_be32(p) != classic[i] && __builtin_bswap32(sl_be32(p)) != classic[i])
			continue;
		s->swap = sl_be32(p) != classic[i];
		return scan_classic(s);
	}
	if (p && sl_be32(p) == NG_SECTION)
		return scan_ng(s);
	return fail(s, -EPROTO, "is no capture (pcap or pcapng)");
}

int sl_pcap_scan(int fd, struct sl_pcap_info *ret_info, char *err, size_t errlen)
{
	struct scan s = {.fd = fd, .err = err, .errlen = errlen};
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		snprintf(err, errlen, "is no file");
		return -EPROTO;
	}
	s.size = (uint64_t)st.st_size;
	s.win = malloc(WINDOW);
	if (!s.win) {
		snprintf(err, errlen, "cannot be read: out of memory");
		return -ENOMEM;
	}
	int rc = scan_any(&s);
	free(s.win);
	if (!rc)
		*ret_info = s.info;
	return rc;
}

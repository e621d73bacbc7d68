/* SPDX-License-Identifier: Apache-2.0 */
#include "test_frames.h"

#include <arpa/inet.h>

uint16_t tf_csum(const uint8_t *p, uint32_t len, uint32_t start)
{
	uint32_t s = start;

	for (uint32_t i = 0; i < len; i++)
		s += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

void tf_fix_ip4_csum(struct tf *f)
{
	uint8_t *ip = f->buf + f->ip;

	sl_put_be16(ip + 10, 0);
	sl_put_be16(ip + 10, (uint16_t)~tf_csum(ip, (uint32_t)(ip[0] & 15) * 4, 0));
}

static uint32_t put_link(struct tf *f)
{
	uint16_t type = f->family == 6 ? 0x86dd : 0x0800;
	static const uint16_t tags[] = {0x88a8, 0x8100, 0x9100};
	uint8_t *p = f->buf;

	memset(p, 2, 12);
	p += 12;
	for (unsigned i = 0; i < f->vlans; i++, p += 4) {
		sl_put_be16(p, tags[i]);
		sl_put_be16(p + 2, (uint16_t)(100 + i));
	}
	sl_put_be16(p, type);
	return (uint32_t)(p + 2 - f->buf);
}

static uint32_t put_ip4(struct tf *f, uint32_t udp_len)
{
	uint8_t *ip = f->buf + f->ip;
	uint32_t hl = 20 + f->ip_options;

	memset(ip, 0, hl);
	ip[0] = (uint8_t)(0x40 | hl / 4);
	sl_put_be16(ip + 2, (uint16_t)(hl + udp_len));
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, f->src, 4);
	memcpy(ip + 16, f->dst, 4);
	memset(ip + 20, 1, f->ip_options); /* no operation */
	tf_fix_ip4_csum(f);
	return f->ip + hl;
}

static uint32_t put_ip6(struct tf *f, uint32_t udp_len)
{
	uint8_t *ip = f->buf + f->ip;

	memset(ip, 0, 40);
	ip[0] = 0x60;
	sl_put_be16(ip + 4, (uint16_t)(f->ext_len + udp_len));
	ip[6] = f->ext_len ? f->ext_first : 17;
	ip[7] = 64;
	memcpy(ip + 8, f->src, 16);
	memcpy(ip + 24, f->dst, 16);
	if (f->ext_len)
		memcpy(ip + 40, f->ext, f->ext_len);
	return f->ip + 40 + f->ext_len;
}

void tf_build(struct tf *f)
{
	uint32_t udp_len = 8 + f->payload_len, n = f->family == 6 ? 16 : 4;

	f->ip = put_link(f);
	f->udp = f->family == 6 ? put_ip6(f, udp_len) : put_ip4(f, udp_len);
	uint8_t *udp = f->buf + f->udp;
	sl_put_be16(udp, f->sport ? f->sport : 40000);
	sl_put_be16(udp + 2, f->dport);
	sl_put_be16(udp + 4, (uint16_t)udp_len);
	sl_put_be16(udp + 6, 0);
	if (f->payload_len)
		memcpy(udp + 8, f->payload, f->payload_len);
	f->len = f->udp + udp_len;
	uint32_t pseudo = tf_csum(f->src, n, 0);
	pseudo = tf_csum(f->dst, n, pseudo) + 17 + udp_len;
	if (f->partial_csum) {
		sl_put_be16(udp + 6, tf_csum(NULL, 0, pseudo));
	} else if (!f->no_csum) {
		uint16_t c = (uint16_t)~tf_csum(udp, udp_len, pseudo);
		sl_put_be16(udp + 6, c ? c : 0xffff);
	}
}

static void build(struct tf *f, int family, const char *src, const char *dst, uint16_t dport,
		  const char *payload)
{
	int af = family == 6 ? AF_INET6 : AF_INET;

	memset(f, 0, sizeof(*f));
	f->family = family;
	SL_ASSERT(inet_pton(af, src, f->src) == 1 && inet_pton(af, dst, f->dst) == 1);
	f->dport = dport;
	f->payload = payload;
	f->payload_len = (uint32_t)strlen(payload);
	tf_build(f);
}

void tf_v4(struct tf *f, const char *src, const char *dst, uint16_t dport, const char *payload)
{
	build(f, 4, src, dst, dport, payload);
}

void tf_v6(struct tf *f, const char *src, const char *dst, uint16_t dport, const char *payload)
{
	build(f, 6, src, dst, dport, payload);
}

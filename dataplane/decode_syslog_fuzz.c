/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the first byte says which headers are wanted, the rest is a syslog message. Beside
 * memory errors it looks for slices that are neither in the message nor constants, and for notes
 * that depend on what is wanted.
 */
#include "decode.h"
#include "text_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct sl_slice s, struct sl_slice msg)
{
	return s.p >= msg.p && s.p + s.len <= msg.p + msg.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sl_decoder *dec = sl_decoder_for(SL_PROTO_SYSLOG);
	struct sl_decoded d, bare;
	struct sl_text_scan fast, slow;

	if (size < 1 || size > 65536)
		return 0;
	struct sl_slice msg = {data + 1, (uint32_t)size - 1};
	enum sl_frame_row row = dec->decode(msg, data[0] & 31, &d);
	SL_ASSERT(row == (msg.len ? SL_FR_ACCEPTED : SL_FR_REFUSED_EMPTY));
	SL_ASSERT(dec->decode(msg, 0, &bare) == row && bare.hdr_cnt == 0);
	SL_ASSERT(bare.notes == d.notes && bare.host.p == d.host.p);
	if (!msg.len)
		return 0;
	SL_ASSERT(!d.host.p || inside(d.host, msg));
	SL_ASSERT(d.hdr_cnt <= SL_DECODE_HDRS_MAX);
	for (uint32_t i = 0; i < d.hdr_cnt; i++) {
		SL_ASSERT(d.hdr[i].name.len && d.hdr[i].value.len);
		bool constant = d.hdr[i].name.p[0] == 'f' || d.hdr[i].name.p[0] == 's';
		SL_ASSERT(constant || inside(d.hdr[i].value, msg));
	}
	SL_ASSERT(!!(d.notes & SL_NOTE(SYSLOG_RFC5424)) != !!(d.notes & SL_NOTE(SYSLOG_RFC3164)));
	(sl_cpu_avx2() ? sl_text_scan_avx2 : sl_text_scan)(msg.p, msg.len, &fast);
	sl_text_scan_scalar(msg.p, msg.len, &slow);
	SL_ASSERT(fast.printable == slow.printable && fast.blank[0] == slow.blank[0] &&
		  fast.blank[1] == slow.blank[1]);
	return 0;
}

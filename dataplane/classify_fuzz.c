/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the first byte chooses what the port trusts, the rest is a frame. Beside memory
 * errors it looks for a datagram that lies outside its frame, a row that is none of a frame's, and
 * an accepted datagram whose checksum a second, plain sum does not confirm.
 */
#include <stdlib.h>

#include "classify.h"
#include "test_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct sl_cfg_listener listeners[] = {
	{.addr = {4, {10, 77, 0, 1}}, .udp = 5514},
	{.addr = {6, {0xfd, 0, [15] = 1}}, .udp = 5514},
	{.udp = 6000},
	{.addr = {4, {239, 1, 2, 3}}, .udp = 5514},
};

static void confirm(const struct sl_pkt *k)
{
	const uint8_t *udp = k->payload.p - 8;
	uint32_t len = k->payload.len + 8, n = k->family == 6 ? 16 : 4;

	if (!sl_be16(udp + 6)) {
		SL_ASSERT(k->family == 4);
		return;
	}
	/* both addresses lie one behind the other */
	uint32_t pseudo = tf_csum(k->src, 2 * n, 0) + 17 + len;
	SL_ASSERT(tf_csum(udp, len, pseudo) == 0xffff);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sl_classifier *cls[4];
	struct sl_pkt k;

	if (size < 1)
		return 0;
	unsigned trust = data[0] & 3;
	struct sl_cls_cfg cfg = {.listener = listeners,
				 .listener_cnt = SL_ARRAY_SIZE(listeners),
				 .trust_partial_csum = trust & 1,
				 .trust_all_csum = trust & 2};
	if (!cls[trust])
		SL_ASSERT(sl_cls_new(&cfg, &cls[trust]) == 0);
	const uint8_t *frame = data + 1;
	uint32_t len = (uint32_t)size - 1;
	enum sl_frame_row row = sl_classify(cls[trust], frame, len, &k);
	if (row != SL_FR_ACCEPTED) {
		SL_ASSERT(row < SL_FR_REFUSED_EMPTY);
		return 0;
	}
	SL_ASSERT(k.payload.p >= frame + 42 && k.payload.len <= len);
	SL_ASSERT(k.payload.p + k.payload.len <= frame + len);
	SL_ASSERT(k.src > frame && k.src + (k.family == 6 ? 32 : 8) <= k.payload.p);
	SL_ASSERT(k.listener < SL_ARRAY_SIZE(listeners) && k.sport);
	if (trust == 0)
		confirm(&k);
	return 0;
}

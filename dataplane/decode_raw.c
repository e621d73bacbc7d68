/* SPDX-License-Identifier: Apache-2.0 */
/* raw: the payload is the record, even if it is empty. */
#include "decode.h"

static enum sl_frame_row decode_raw(SL_UNUSED struct sl_slice payload, SL_UNUSED uint32_t wanted,
				    struct sl_decoded *ret)
{
	sl_decoded_clear(ret);
	return SL_FR_ACCEPTED;
}

const struct sl_decoder sl_decoder_raw = {
	.protocol = SL_PROTO_RAW,
	.name = "raw",
	.decode = decode_raw,
};

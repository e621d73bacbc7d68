/* SPDX-License-Identifier: Apache-2.0 */
#include "decode.h"

static const struct sl_decoder *const decoders[] = {
	[SL_PROTO_RAW] = &sl_decoder_raw,
	[SL_PROTO_SYSLOG] = &sl_decoder_syslog,
};

const struct sl_decoder *sl_decoder_for(enum sl_protocol protocol)
{
	return (size_t)protocol < SL_ARRAY_SIZE(decoders) ? decoders[protocol] : NULL;
}

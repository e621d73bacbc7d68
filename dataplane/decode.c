/* SPDX-License-Identifier: Apache-2.0 */
#include "decode.h"

static const struct sl_decoder *const decoders[] = {
	[SL_PROTO_RAW] = &sl_decoder_raw,
	[SL_PROTO_SYSLOG] = &sl_decoder_syslog,
};

const struct sl_decoder *sl_decoder_for(enum sl_protocol protocol)
{
	if (protocol == SL_PROTO_SYSLOG && sl_cpu_avx2())
		return &sl_decoder_syslog_avx2;
	return (size_t)protocol < SL_ARRAY_SIZE(decoders) ? decoders[protocol] : NULL;
}

bool sl_cpu_avx2(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
	       __builtin_cpu_supports("bmi2");
#else
	return false;
#endif
}

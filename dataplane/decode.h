/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.h - what a listener's protocol makes of a datagram: one row and one file per protocol.
 *
 * A decoder looks at the payload and nothing else, allocates nothing and keeps nothing. The value
 * of the record is always the payload as received; a decoder only says whether it is refused, what
 * is to be noted about it, and which record headers and which host it carries. All slices borrow
 * from the payload or are constants.
 */
#ifndef SL_DATAPLANE_DECODE_H
#define SL_DATAPLANE_DECODE_H

#include "platform/record/frame.h"
#include "sluice/config.h"
#include "sluice/counters.h"

#define SL_DECODE_HDRS_MAX 6 /* one per bit of enum sl_hdr_bit */

#define SL_NOTE(id) (1u << SL_NR_##id)

struct sl_decoded {
	uint32_t notes; /* SL_NOTE() bits */
	uint32_t hdr_cnt;
	struct sl_slice host; /* as the sender claims; p NULL: not there */
	struct sl_hdr hdr[SL_DECODE_HDRS_MAX];
};

/*
 * `wanted`: enum sl_hdr_bit; a header whose field is missing is left out. SL_HDR_SOURCE is not a
 * decoder's business. SL_FR_ACCEPTED, or the row under which the datagram is refused.
 * ret->notes, hdr_cnt and host are always set. Any thread.
 */
typedef enum sl_frame_row (*sl_decode_fn)(struct sl_slice payload, uint32_t wanted,
					  struct sl_decoded *ret);

struct sl_decoder {
	enum sl_protocol protocol;
	const char *name; /* as in the config */
	sl_decode_fn decode;
	bool has_host; /* fills ret->host: `key: host` makes sense */
};

/* NULL: a protocol that this version does not have. The form that suits this processor. Any thread.
 */
const struct sl_decoder *sl_decoder_for(enum sl_protocol protocol);

extern const struct sl_decoder sl_decoder_raw;
extern const struct sl_decoder sl_decoder_syslog, sl_decoder_syslog_avx2;

/* What the forms called _avx2 may use: every processor with AVX2 has the rest too. Counting
 * trailing zeros alone (bmi) is worth it: on AMD's the older instruction is microcode. */
#if defined(__x86_64__)
#define SL_AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt")))
#else
#define SL_AVX2
#endif
bool sl_cpu_avx2(void); /* any thread */

/* ---- for decoders ---------------------------------------------------------------------------- */

SL_INLINE void sl_decoded_clear(struct sl_decoded *d)
{
	d->notes = 0;
	d->hdr_cnt = 0;
	d->host.p = NULL;
	d->host.len = 0;
}

SL_INLINE void sl_decoded_hdr(struct sl_decoded *d, struct sl_slice name, struct sl_slice value)
{
	SL_DASSERT(d->hdr_cnt < SL_DECODE_HDRS_MAX);
	d->hdr[d->hdr_cnt++] = (struct sl_hdr){.name = name, .value = value};
}

#define SL_LIT(s) ((struct sl_slice){.p = (const uint8_t *)(s), .len = sizeof(s) - 1})

#endif

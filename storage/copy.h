/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.h - copying a batch into a stripe past the cache.
 *
 * A stripe's memory is cold and leaves by DMA: ordinary stores would first read every line of it.
 * Streaming stores do not. Small copies stay ordinary: their bytes are looked at again soon. The
 * numbers are in docs/decisions/0015-streaming-copy.md.
 */
#ifndef SL_STORAGE_COPY_H
#define SL_STORAGE_COPY_H

#include "sluice/base.h"

#define SL_COPY_STREAM_MIN 4096u

#if defined(__SSE2__) && !defined(SL_SANITIZED)
#include <emmintrin.h>

/* Visible to other threads once a release store follows: the fence is included. */
SL_INLINE void sl_copy(uint8_t *dst, const uint8_t *src, size_t n)
{
	if (n < SL_COPY_STREAM_MIN) {
		memcpy(dst, src, n);
		return;
	}
	size_t head = (64 - ((uintptr_t)dst & 63)) & 63;
	memcpy(dst, src, head);
	dst += head;
	src += head;
	n -= head;
	for (; n >= 64; n -= 64, dst += 64, src += 64) {
		__m128i a = _mm_loadu_si128((const __m128i *)(const void *)src);
		__m128i b = _mm_loadu_si128((const __m128i *)(const void *)(src + 16));
		__m128i c = _mm_loadu_si128((const __m128i *)(const void *)(src + 32));
		__m128i d = _mm_loadu_si128((const __m128i *)(const void *)(src + 48));
		_mm_stream_si128((__m128i *)(void *)dst, a);
		_mm_stream_si128((__m128i *)(void *)(dst + 16), b);
		_mm_stream_si128((__m128i *)(void *)(dst + 32), c);
		_mm_stream_si128((__m128i *)(void *)(dst + 48), d);
	}
	memcpy(dst, src, n);
	_mm_sfence();
}
#else
SL_INLINE void sl_copy(uint8_t *dst, const uint8_t *src, size_t n)
{
	memcpy(dst, src, n);
}
#endif

#endif

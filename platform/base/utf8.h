/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h - is it text? Pure; any thread. */
#ifndef SL_BASE_UTF8_H
#define SL_BASE_UTF8_H

#include "sluice/base.h"

/* Length of the UTF-8 character at p (RFC 3629: no surrogates, nothing overlong), 0 if it is none;
 * p < end. NUL and control characters are characters. */
unsigned sl_utf8_len(const uint8_t *p, const uint8_t *end);

/* Bytes of [p, p + len) before the first one that begins no character: len if all is UTF-8. */
size_t sl_utf8_span(const uint8_t *p, size_t len);

#endif

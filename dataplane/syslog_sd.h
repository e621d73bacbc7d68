/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syslog_sd.h - is it RFC 5424 structured data (section 6.3)? One answer, no fields.
 *
 * Names are printable ASCII without blank, '=', ']', '"', 1 to 32 bytes; in values '"', '\' and ']'
 * are escaped by '\', and a backslash before anything else is a plain one. At most
 * SL_SD_ELEMENTS_MAX elements. What follows must be a blank or the end. Any thread.
 */
#ifndef SL_DATAPLANE_SYSLOG_SD_H
#define SL_DATAPLANE_SYSLOG_SD_H

#include "sluice/base.h"

#define SL_SD_NAME_MAX     32
#define SL_SD_ELEMENTS_MAX 64

/* The bytes p .. end, a byte at a time: the twin. */
bool sl_sd_ok_scalar(const uint8_t *p, const uint8_t *end);

/*
 * The same for a message msg .. end that is known to be nothing but 0x20 .. 0x7e (text_scan.h says
 * so for nothing), from p on: 64 bytes a step. Reads nothing outside the message.
 */
bool sl_sd_ok_printable(const uint8_t *msg, const uint8_t *p, const uint8_t *end);
/* Only where the processor has AVX2. */
bool sl_sd_ok_printable_avx2(const uint8_t *msg, const uint8_t *p, const uint8_t *end);

#endif

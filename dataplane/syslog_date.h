/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syslog_date.h - the two dates of syslog: is there one, and how long is it?
 *
 * Dates are never turned into numbers here: records carry the gateway's time, and the device's own
 * goes into a header as it was written. Any thread.
 */
#ifndef SL_DATAPLANE_SYSLOG_DATE_H
#define SL_DATAPLANE_SYSLOG_DATE_H

#include "sluice/base.h"

#define SL_DATE_3164_LEN 15 /* "Mmm dd hh:mm:ss" */
#define SL_DATE_5424_MAX 32 /* "YYYY-MM-DDThh:mm:ss.ffffff+hh:mm" */

/* RFC 3164 section 4.1.2; a day below ten with a blank or a zero before it. Its length or 0. */
uint32_t sl_date_3164(const uint8_t *p, const uint8_t *end);
/* RFC 5424 section 6.2.3, without the nil value: RFC 3339, no leap second. Its length or 0. */
uint32_t sl_date_5424(const uint8_t *p, const uint8_t *end);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * values.h - the texts that values are written in: sizes, durations, addresses, CPU lists.
 *
 * Pure functions over NUL-terminated text; what is returned is untouched on failure. Unless said
 * otherwise: -EINVAL not of the form, -ENOENT the unit is missing or unknown, -ERANGE too large to
 * be represented. Whole, unsigned, decimal numbers only; units are case-sensitive. Any thread.
 */
#ifndef SL_CONFIG_VALUES_H
#define SL_CONFIG_VALUES_H

#include "sluice/config.h"

#define SL_VALUE_TEXT_MAX 32

/* "-12", "604800000". No unit: -ENOENT if one follows. */
SL_MUST_CHECK int sl_value_int(const char *s, int64_t *ret);
/* "16KiB", "10GiB", "4096" or "4096B": bytes. Units B, KiB, MiB, GiB, TiB. */
SL_MUST_CHECK int sl_value_size(const char *s, uint64_t *ret_bytes);
/* "5ms", "10s", "7d" and a bare "0": ns. Units ns, us, ms, s, m, h, d. */
SL_MUST_CHECK int sl_value_duration(const char *s, uint64_t *ret_ns);
/* "10MB/s", "500KiB/s": bytes a second. Units B, KB, MB, GB (powers of ten), KiB, MiB, GiB. */
SL_MUST_CHECK int sl_value_rate(const char *s, uint64_t *ret_bytes);
/* "70%", "2.5%": 0 .. 1. -ERANGE above 100 %. */
SL_MUST_CHECK int sl_value_percent(const char *s, double *ret_fraction);
/* "0-3", "1", "0,2-3": appended to ret->cpu. -ERANGE: no CPU number, or "3-1"; -E2BIG: more than
 * SL_CFG_CPUS_MAX. ret may be partly filled on failure. */
SL_MUST_CHECK int sl_value_cpus(const char *s, struct sl_cfg_cpus *ret);
/* "10.77.0.1", "fd00::1". */
SL_MUST_CHECK int sl_value_addr(const char *s, struct sl_cfg_addr *ret);
/* A host's name, its IPv4 address, or its IPv6 address, of which `len` bytes are looked at. */
bool sl_value_is_host(const char *s, size_t len);
/* "127.0.0.1:9092", "[::1]:9092", "name:9092". -ENOENT: no port; -ERANGE: the port; -E2BIG: the
 * host is longer than SL_CFG_NAME_MAX - 1. */
SL_MUST_CHECK int sl_value_hostport(const char *s, struct sl_cfg_listen *ret);
/* "payload[4:12]": bytes 4 .. 11, so off 4, len 8. -ERANGE: empty, or beyond 65535. */
SL_MUST_CHECK int sl_value_slice(const char *s, uint16_t *ret_off, uint16_t *ret_len);

/* The shortest text that reads back as the same value; buf has SL_VALUE_TEXT_MAX bytes. */
void sl_value_size_text(uint64_t bytes, char *buf);
void sl_value_duration_text(uint64_t ns, char *buf);
void sl_value_rate_text(uint64_t bytes, char *buf);

/* Edits from a to b (insert, delete, replace, swap neighbours), at most `max` + 1. */
unsigned sl_value_distance(const char *a, const char *b, unsigned max);

#endif

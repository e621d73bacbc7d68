/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c.h - CRC-32C (Castagnoli) as Kafka uses it; ISA-L above ~512 B, crc32 instructions below. */
#ifndef SL_RECORD_CRC32C_H
#define SL_RECORD_CRC32C_H

#include "sluice/base.h"

/* Standard CRC-32C of the bytes (initial and final inversion included). Any thread. */
uint32_t sl_crc32c(const void *p, size_t len);
/* Continues: sl_crc32c_more(sl_crc32c(a), b) == sl_crc32c(a || b). */
uint32_t sl_crc32c_more(uint32_t crc, const void *p, size_t len);

#endif

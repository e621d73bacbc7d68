/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crc32c.h - CRC-32C (Castagnoli, RFC 3720) as Kafka uses it.
 *
 * ISA-L for long runs, the crc32 instruction for short ones, a table where the processor has
 * neither; which of them is found out at run time, so one package runs on every gateway.
 */
#ifndef SL_RECORD_CRC32C_H
#define SL_RECORD_CRC32C_H

#include "sluice/base.h"

/* Standard CRC-32C of the bytes (initial and final inversion included). Any thread. */
uint32_t sl_crc32c(const void *p, size_t len);
/* Continues: sl_crc32c_more(sl_crc32c(a), b) == sl_crc32c(a || b). */
uint32_t sl_crc32c_more(uint32_t crc, const void *p, size_t len);

/* The single ways, under the same convention as sl_crc32c_more(), for tests and the bench. */
uint32_t sl_crc32c_table(uint32_t crc, const void *p, size_t len);
uint32_t sl_crc32c_insn(uint32_t crc, const void *p, size_t len); /* the table without sse4.2 */
uint32_t sl_crc32c_isal(uint32_t crc, const void *p, size_t len);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * murmur2.h - Kafka's partitioner: org.apache.kafka.common.utils.Utils.murmur2 (seed 0x9747b28c)
 * and toPositive(murmur2(key)) % partitions.
 */
#ifndef SL_BASE_MURMUR2_H
#define SL_BASE_MURMUR2_H

#include "sluice/base.h"

SL_INLINE uint32_t sl_murmur2(const void *key, size_t len)
{
	const uint32_t m = 0x5bd1e995;
	const uint8_t *p = key;
	uint32_t h = 0x9747b28cu ^ (uint32_t)len;
	size_t n = len >> 2;

	for (; n; n--, p += 4) {
		uint32_t k;
		memcpy(&k, p, 4);
		k *= m;
		k ^= k >> 24;
		k *= m;
		h = h * m ^ k;
	}
	switch (len & 3) {
	case 3:
		h ^= (uint32_t)p[2] << 16; /* fall through */
		__attribute__((fallthrough));
	case 2:
		h ^= (uint32_t)p[1] << 8;
		__attribute__((fallthrough));
	case 1:
		h ^= p[0];
		h *= m;
	}
	h ^= h >> 13;
	h *= m;
	h ^= h >> 15;
	return h;
}

/* partitions >= 1 */
SL_INLINE uint32_t sl_partition_for(uint32_t hash, uint32_t partitions)
{
	return (hash & 0x7fffffffu) % partitions;
}

#endif

# SPDX-License-Identifier: Apache-2.0
"""Kafka's default partitioner, written for the tests from its description (murmur2, seed 0x9747b28c)."""


def murmur2(data):
    m, n = 0x5bd1e995, len(data)
    h = (0x9747b28c ^ n) & 0xffffffff
    for i in range(0, n - n % 4, 4):
        k = int.from_bytes(data[i:i + 4], "little") * m & 0xffffffff
        k ^= k >> 24
        h = (h * m & 0xffffffff) ^ (k * m & 0xffffffff)
    tail = data[n - n % 4:]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * m & 0xffffffff
    h ^= h >> 13
    h = h * m & 0xffffffff
    return h ^ h >> 15


def partition(key, count):
    return (murmur2(key) & 0x7fffffff) % count

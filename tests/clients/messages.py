# SPDX-License-Identifier: Apache-2.0
"""The messages of producer.py: each can be made from its tag and number, and recognised again."""

import hashlib


def value_of(tag, n):
    pad = (f"{tag}/{n}/" * 20)[:20 + n * 7919 % 180]
    body = f"{tag} {n} {pad}"
    return f"{tag} {n} {hashlib.blake2b(body.encode(), digest_size=8).hexdigest()} {pad}".encode()


def check_value(value):
    """(tag, n) of such a message, or None if it is none or was changed."""
    parts = value.split(b" ", 3)
    if len(parts) != 4 or not parts[1].isdigit():
        return None
    tag, n = parts[0].decode(errors="replace"), int(parts[1])
    return (tag, n) if value_of(tag, n) == value else None


def h64(data):
    """Short hash of a key or value as text; "-": null."""
    return "-" if data is None else hashlib.blake2b(data, digest_size=8).hexdigest()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Seeds of the fuzz corpora.

../../fuzz/kafka (bridge/kafka/conn_fuzz.c): the requests of the golden conversations, with their
size fields, as they go over the wire: for each API and version, and each conversation as a whole;
and a Produce with a batch of each codec.

../../fuzz/kafka-groups (bridge/kafka/group_fuzz.c): logs of __consumer_offsets, with keys and
values as docs/formats/consumer-offsets.md has them, and some that are wrong in one place.
"""
import pathlib
import struct

HERE = pathlib.Path(__file__).parent
CONN, GROUPS = HERE / "../../fuzz/kafka", HERE / "../../fuzz/kafka-groups"
NAMES = {0: "produce", 1: "fetch", 2: "list-offsets", 3: "metadata", 8: "offset-commit", 9: "offset-fetch",
         10: "find-coordinator", 11: "join-group", 12: "heartbeat", 13: "leave-group", 14: "sync-group",
         15: "describe-groups", 16: "list-groups", 18: "api-versions", 19: "create-topics", 20: "delete-topics",
         21: "delete-records", 22: "init-producer-id", 23: "offset-for-leader-epoch", 29: "describe-acls",
         32: "describe-configs", 33: "alter-configs", 35: "describe-log-dirs", 37: "create-partitions",
         42: "delete-groups", 44: "incremental-alter-configs", 46: "list-partition-reassignments",
         47: "offset-delete", 48: "describe-client-quotas", 60: "describe-cluster"}
FIRST_PEER, SOON = 0, 2 << 16  # in a correlation id: conn_fuzz.c


def sized(frame):
    return struct.pack(">i", len(frame)) + frame


def conversation(path):
    for line in path.read_text().splitlines():
        if line.startswith("> "):
            yield bytes.fromhex(line[2:])


def conn_seeds():
    seeds, wholes = {}, {}
    for path in sorted(HERE.glob("*.txt")):
        for frame in conversation(path):
            key, version = struct.unpack_from(">hh", frame)
            name = f"{NAMES[key]}-{version}"
            seeds[name] = seeds.get(name, b"") + sized(frame)
            if (key, version) in ((0, 0), (0, 1), (0, 2)):
                continue  # closes the connection
            whole = f"all-{path.stem}"
            wholes[whole] = wholes.get(whole, b"") + sized(frame[:4] + struct.pack(">i", FIRST_PEER | SOON) + frame[8:])
    for path in sorted((HERE / "../record").glob("*.bin")):
        seeds[f"produce-{path.stem}"] = produce(path.read_bytes())
    seeds["offset-commit-forever"] = commit(2**63 - 1)
    return {**seeds, **wholes}


def produce(batch):
    head = struct.pack(">hhi", 0, 7, SOON) + struct.pack(">h", -1)
    body = struct.pack(">hhi", -1, 1, 1000) + struct.pack(">i", 1) + string("alpha")
    return sized(head + body + struct.pack(">iii", 1, 0, len(batch)) + batch)


def commit(retention):
    """OffsetCommit v2 of one partition."""
    body = string("g") + struct.pack(">i", -1) + string("") + struct.pack(">q", retention)
    body += struct.pack(">i", 1) + string("alpha") + struct.pack(">iiq", 1, 0, 5) + string("note")
    return sized(struct.pack(">hhi", 8, 2, SOON) + struct.pack(">h", -1) + body)


# ---- __consumer_offsets ---------------------------------------------------------------------------

def string(text):
    return struct.pack(">h", -1) if text is None else struct.pack(">h", len(text)) + text.encode()


def data(raw):
    return struct.pack(">i", len(raw)) + raw


def offset_key(group, topic, partition, version=1):
    return struct.pack(">h", version) + string(group) + string(topic) + struct.pack(">i", partition)


def offset_value(version, offset, metadata="note"):
    out = struct.pack(">hq", version, offset)
    if version >= 3:
        out += struct.pack(">i", 4)
    out += string(metadata) + struct.pack(">q", 1_700_000_000_000)
    return out + (struct.pack(">q", 1_700_000_001_000) if version == 1 else b"")


def group_key(group):
    return struct.pack(">h", 2) + string(group)


def subscription(*topics):
    return struct.pack(">hi", 1, len(topics)) + b"".join(map(string, topics)) + struct.pack(">ii", -1, 0)


def member(version, name, instance=None, session=10_000, rebalance=30_000):
    out = string(name) + (string(instance) if version >= 3 else b"") + string("client") + string("/192.0.2.1")
    out += struct.pack(">i", rebalance) if version >= 1 else b""
    return out + struct.pack(">i", session) + data(subscription("alpha")) + data(b"\0\1assigned")


def group_value(version, *members, leader="m-1", protocol="range", count=None, generation=7):
    out = struct.pack(">h", version) + string("consumer" if members else "") + struct.pack(">i", generation)
    out += string(protocol) + string(leader) + (struct.pack(">q", 1_700_000_000_000) if version >= 2 else b"")
    return out + struct.pack(">i", len(members) if count is None else count) + b"".join(members)


def record(key, value, part=0):
    out = struct.pack(">B", part)
    for field in (key, value):
        out += struct.pack(">H", 0xffff if field is None else len(field)) + (field or b"")
    return out


def log(*records, attributes=0):
    return struct.pack(">B", attributes) + b"".join(records)


def group_seeds():
    offsets = [record(offset_key("g", "alpha", v), offset_value(v, 100 + v), v & 1) for v in range(4)]
    groups = [record(group_key(f"g{v}"), group_value(v, member(v, "m-1"), member(v, "m-2", "static"))) for v in range(4)]
    seeds = {
        "offsets": log(*offsets),
        "offsets-old-key": log(record(offset_key("g", "alpha", 0, 0), offset_value(0, 1))),
        "offsets-tombstones": log(*offsets, *(record(offset_key("g", "alpha", v), None) for v in range(4))),
        "offsets-of-groups": log(*groups, *(record(offset_key(f"g{v}", "alpha", 0), offset_value(3, v)) for v in range(4))),
        "groups-empty": log(*(record(group_key(f"e{v}"), group_value(v, leader=None, protocol=None)) for v in range(4))),
        "groups-tombstone": log(*groups, record(group_key("g1"), None)),
        "groups-twice": log(*groups, *groups),
        "groups-many": log(*(record(group_key(f"g{v}"), group_value(3, member(3, "m"))) for v in range(9))),
        "members-many": log(record(group_key("g"), group_value(3, *(member(3, f"m-{i}") for i in range(6))))),
        "members-missing": log(record(group_key("g"), group_value(3, member(3, "m-1"), count=2))),
        "members-absurd": log(record(group_key("g"), group_value(3, member(3, "m-1"), count=0x7fffffff))),
        "members-same": log(record(group_key("g"), group_value(3, member(3, "m-1", "i"), member(3, "m-1", "i")))),
        "leader-unknown": log(record(group_key("g"), group_value(3, member(3, "m-1"), leader="nobody"))),
        "protocol-null": log(record(group_key("g"), group_value(3, member(3, "m-1"), protocol=None))),
        "timeouts-negative": log(record(group_key("g"), group_value(3, member(3, "m-1", session=-1)))),
        "timeouts-short": log(record(group_key("g"), group_value(3, member(3, "m-1", session=0, rebalance=0)))),
        "generation-last": log(record(group_key("g"), group_value(3, member(3, "m-1", session=5), generation=2**31 - 1))),
        "generation-negative": log(record(group_key("g"), group_value(3, member(3, "m-1"), generation=-2))),
        "values-new": log(record(offset_key("g", "t", 0), struct.pack(">h", 4)), record(group_key("g"), struct.pack(">h", 9))),
        "keys-foreign": log(record(struct.pack(">h", 3) + string("g"), b"x"), record(b"", b""), record(None, b"x")),
        "metadata-null": log(record(offset_key("g", "t", 0), offset_value(3, 1, None))),
        "transactional": log(*offsets, attributes=0x10),
        "undecodable": log(*offsets, attributes=4),
    }
    return seeds


for folder, files in ((CONN, conn_seeds()), (GROUPS, group_seeds())):
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    print(f"{folder.resolve().relative_to(HERE.resolve().parents[2])}: {len(files)} seeds")

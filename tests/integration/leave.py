# SPDX-License-Identifier: Apache-2.0
"""Kafka clients that leave while their request is at work: reads from disk, batches being recompressed.

Needs no root: the log comes from a capture. When the peer leaves is the kernel's business here; the
same with every moment chosen is bridge/kafka/worker_test.c.
"""

import os
import random
import socket
import struct

from sltest import RATE_DIV, Checks, Scope, frames, say, wait_for
from sltest.daemon import Daemon, listener, topic

FRAMES, ROUNDS = 20000, 300 // RATE_DIV


def make(scope):
    path = scope.path("lines.pcap")
    r = random.Random(3)
    frames.write_pcap(path, [frames.udp_frame(f"192.0.2.{i % 200 + 1}", "192.0.2.250", 1024, 514,
                                              b"<13>1 - h a - - - %d " % i + r.randbytes(400).hex().encode())
                             for i in range(FRAMES)])
    return Daemon(scope, "leave", ports=[{"name": "cap", "backend": "pcap", "file": path}],
                  listeners=[listener("syslog", "cap", "syslog", "logs", 514, key="source")],
                  topics=[topic("logs", 2, compression_type="uncompressed"), topic("packed", 1, compression_type="lz4")],
                  storage={"tail_cache": "8MiB"})


def request(key, version, body):
    head = struct.pack(">hhih", key, version, 1, -1)
    return struct.pack(">i", len(head) + len(body)) + head + body


def name(text):
    return struct.pack(">h", len(text)) + text.encode()


def fetch(partition, offset):
    return request(1, 4, struct.pack(">iiiibi", -1, 0, 1, 8 << 20, 0, 1) + name("logs") +
                   struct.pack(">iiqi", 1, partition, offset, 8 << 20))


def produce(batch):
    return request(0, 3, struct.pack(">hhii", -1, 1, 1000, 1) + name("packed") +
                   struct.pack(">iii", 1, 0, len(batch)) + batch)


def stored_batch(gw):
    """(bytes, records) of a batch as it lies in a segment: a client may send it as it is."""
    folder = os.path.join(gw.log_dir, "logs-0")
    with open(os.path.join(folder, sorted(f for f in os.listdir(folder) if f.endswith(".log"))[0]), "rb") as f:
        data = f.read(1 << 20)
    length = 12 + struct.unpack_from(">i", data, 8)[0]
    return data[:length], struct.unpack_from(">i", data, 57)[0]


def leave(gw, data, r):
    """Sends, perhaps takes the first bytes of an answer, and resets the connection."""
    with socket.create_connection(("127.0.0.1", gw.kafka_port), timeout=20) as s:
        s.sendall(data)
        if r.random() < 0.3:
            s.recv(r.randint(1, 4096))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def main():
    check, seed = Checks(), int(os.environ.get("SLT_SEED", "9"))
    say(f"seed {seed}, {ROUNDS} rounds")
    r = random.Random(seed)
    with Scope("leave") as scope:
        gw = make(scope)
        gw.start()
        gw.wait_records("logs", FRAMES)
        check.equal(gw.stop()[0], 0, f"{FRAMES} records in the log, stopped")
        batch, count = stored_batch(gw)
        gw.config["ports"][0]["file"] = scope.path("none.pcap")  # nothing new, so nothing is in memory
        frames.write_pcap(scope.path("none.pcap"), [])
        gw.write_config()
        gw.start()
        ends = gw.ends("logs")
        for _ in range(ROUNDS):
            partition = r.choice(sorted(ends))
            leave(gw, fetch(partition, r.randrange(ends[partition])), r)
            leave(gw, produce(batch), r)

        def gone():
            k = gw.status()["kafka"]
            return k if k["connections"] == 0 and k["memory_bytes"] == 0 else None

        k = wait_for("all requests to end", gone)
        check.that(k["fetch_from_disk"] > 0, f"{k['fetch_from_disk']} bytes were read from disk for them")
        check.that(gw.ready(), "nobody is left, no memory held, the daemon serves")
        stored = gw.records("packed")
        check.equal((stored % count, k["produce_records"]), (0, stored),
                    f"{stored // count} of {ROUNDS} batches of {count} records were taken, each whole and once")
        check.equal((k["request_errors"], gw.wait_settled()["difference"]), (0, 0), "no error, the ledger closes")
        check.equal(gw.stop()[0], 0, "clean stop")
    check.finish()


if __name__ == "__main__":
    main()

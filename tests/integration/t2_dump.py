# SPDX-License-Identifier: Apache-2.0
"""Apache Kafka's dump tool over every segment and index has nothing to complain about.

After a clean stop, and after kill -9, recovery and a clean stop. The log holds what UDP and Kafka
producers of every codec wrote into the same partitions, over many small segments.
"""

from sltest import RATE_DIV, Checks, Scope, need_root, say
from sltest.daemon import Daemon, listener, topic
from sltest.kafka import CODECS, dump_check, kcat, need_jars
from sltest.load import Sender
from sltest.netns import Pair

COUNT = max(30000, 60000 // RATE_DIV)  # enough for several segments of the smallest size
PER_CODEC = 4000 // RATE_DIV


def produce(scope, gw, tag):
    for codec in CODECS:
        lines = b"".join(b"%s-%s-%06d %s\n" % (tag, codec.encode(), i, b"temperature=21.5 " * (i % 9))
                         for i in range(PER_CODEC))
        kcat(scope, gw, "-P", "-t", "logs", "-z", codec, "-X", "acks=all", "-X", "linger.ms=20", stdin=lines)


def judge(check, gw, stored, when):
    dump = dump_check(gw.log_dir)
    for c in dump.complaints[:10]:
        say(f"dump tool: {c}")
    check.equal(len(dump.complaints), 0, f"{when}: {dump.files} files, {dump.batches} batches, no complaint")
    check.equal(dump.records, stored, f"{when}: the dump tool sees every record")
    check.that(dump.files > 3 * 4, f"{when}: more than one segment in a partition")


def main():
    need_root()
    need_jars()
    check = Checks()
    with Scope("t2") as scope:
        pair = Pair(scope, "t2")
        gw = Daemon(scope, ports=[pair.port("af_packet")],
                    listeners=[listener("syslog", "lan0", "syslog", "logs", 5514, key="source")],
                    topics=[topic("logs", 4, segment_bytes=1 << 20, compression_type="producer")])
        gw.start()
        sender = Sender(scope, pair, 5514, rate=10000, count=COUNT, burst=16)
        produce(scope, gw, b"first")
        sent = sender.wait()
        gw.wait_settled()
        stored = gw.records("logs")
        check.that(stored >= len(CODECS) * PER_CODEC, f"{stored} records stored, {sent} sent over UDP")
        check.equal(gw.stop()[0], 0, "clean stop")
        judge(check, gw, stored, "after a clean stop")

        gw.start()
        check.equal(gw.records("logs"), stored, "a restart keeps every record")
        sender = Sender(scope, pair, 5514, rate=10000, count=COUNT, burst=16)
        produce(scope, gw, b"second")
        gw.kill()
        sender.wait()
        gw.start()
        say("killed and recovered:\n" + gw.tail(8).rstrip())
        recovered = gw.records("logs")
        check.that(recovered >= stored + len(CODECS) * PER_CODEC, f"after kill -9: {recovered} records")
        produce(scope, gw, b"third")
        stored = gw.records("logs")
        check.equal(stored, recovered + len(CODECS) * PER_CODEC, "and it goes on from there")
        check.equal(gw.stop()[0], 0, "clean stop")
        judge(check, gw, stored, "after kill -9, recovery and a clean stop")
    check.finish()


if __name__ == "__main__":
    main()

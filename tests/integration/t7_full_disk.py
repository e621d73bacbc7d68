# SPDX-License-Identifier: Apache-2.0
"""The data directory on a small file system, filled under load and freed again, three times.

Nothing acknowledged is lost, refusals bear their names (append_failed[disk_full] for UDP, Kafka
error 56 for producers), and the box recovers alone when space returns.
"""

import os
import signal
import sys
import time

from sltest import RATE_DIV, SLOW, Checks, Scope, need_root, say, skip, wait_for
from sltest.batch import read_topic
from sltest.daemon import Daemon, listener, show_ledger, topic
from sltest.kafka import CLIENTS, need_venv, venv_argv
from sltest.load import Sender, parse_numbered
from sltest.netns import Pair

sys.path.insert(0, CLIENTS)

CYCLES = 3
SIZE = 256 << 20
KAFKA_STORAGE_ERROR = 56
RECOVERY_LIMIT_S = 5
# Not slower than this: what is pre-written must fill before anything is refused.
UDP_RATE, KAFKA_RATE = max(2000, 4000 // RATE_DIV), max(300, 1000 // RATE_DIV)


def small_disk(scope):
    """A loop file system of its own, mounted below the scope's folder."""
    image, mount = scope.path("disk.img"), scope.path("disk")
    with open(image, "wb") as f:
        f.truncate(SIZE)
    os.mkdir(mount)
    scope.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", image])
    try:
        scope.run(["mount", "-o", "loop", image, mount])
    except RuntimeError as e:
        skip(f"no loop devices here: {e}")
    scope.undo(lambda: scope.run(["umount", mount], check=False))
    return mount


def free_bytes(path):
    s = os.statvfs(path)
    return s.f_bavail * s.f_frsize


def fill(path, beside):
    """A foreign file that takes all that is left, however little at a time."""
    with open(path, "wb") as f:
        for piece in (16 << 20, 1 << 20, 64 << 10, 4 << 10):
            while True:
                try:
                    os.posix_fallocate(f.fileno(), f.seek(0, os.SEEK_END), piece)
                except OSError:
                    break
    say(f"filled: {free_bytes(beside)} bytes left beside {os.path.getsize(path) >> 20} MiB of a foreign file")


def answers(path, word):
    try:
        with open(path) as f:
            return [line.split() for line in f if line.startswith(word + " ") and line.endswith("\n")]
    except OSError:
        return []


def cycle(check, gw, mount, answer_file, number):
    acked, refused = len(answers(answer_file, "ok")), len(answers(answer_file, "no"))
    failed = gw.ledger()["append_failed"]["disk_full"]
    wait_for("fresh acknowledgements", lambda: len(answers(answer_file, "ok")) > acked)
    foreign = os.path.join(mount, "foreign")
    fill(foreign, mount)
    # The files in hand were written in advance: they take records until they are full.
    wait_for("UDP records to be refused by name", lambda: gw.ledger()["append_failed"]["disk_full"] > failed, 90)
    wait_for("the producer to be refused", lambda: len(answers(answer_file, "no")) > refused, 60)
    codes = {int(a[2]) for a in answers(answer_file, "no")[refused:]}
    check.equal(codes, {KAFKA_STORAGE_ERROR}, f"cycle {number}: the producer is told error {KAFKA_STORAGE_ERROR}")
    check.equal(gw.http("/healthz")[0], 200, f"cycle {number}: the daemon lives and answers while the disk is full")
    check.equal(gw.ledger()["difference"], 0, f"cycle {number}: the ledger closes while records are refused")
    acked = len(answers(answer_file, "ok"))
    began = time.monotonic()
    os.unlink(foreign)
    wait_for("acknowledgements again", lambda: len(answers(answer_file, "ok")) > acked + 10, 30)
    seconds = time.monotonic() - began
    check.that(seconds < RECOVERY_LIMIT_S * SLOW * 2, f"cycle {number}: recovered alone after {seconds:.2f} s "
               f"(goal {RECOVERY_LIMIT_S} s)")


def compare(check, gw, answer_file, led):
    from messages import check_value, value_of
    records = read_topic(gw.log_dir, "logs")
    acked = answers(answer_file, "ok")
    lost = changed = 0
    for _, n, part, offset in acked:
        part, offset = int(part), int(offset)
        first = records[part][0].offset if records[part] else 0
        at = records[part][offset - first] if 0 <= offset - first < len(records[part]) else None
        lost += at is None
        changed += at is not None and (at.offset != offset or at.value != value_of("full", int(n)))
    check.equal((lost, changed), (0, 0), f"{len(acked)} acknowledged: none lost, none changed")
    udp = [parse_numbered(r.value) for p in records.values() for r in p if not check_value(r.value)]
    check.that(None not in udp and len(udp) == len(set(udp)), "every UDP record whole and once")
    check.equal(len(udp), led["appended"], "as many UDP records as the ledger says")


def main():
    need_root()
    need_venv()
    check = Checks()
    with Scope("t7") as scope:
        mount = small_disk(scope)
        pair = Pair(scope, "t7")
        gw = Daemon(scope, data=os.path.join(mount, "data"), ports=[pair.port("af_packet")],
                    listeners=[listener("syslog", "lan0", "syslog", "logs", 5514, key="source")],
                    topics=[topic("logs", 2, compression_type="producer", segment_bytes=4 << 20)],
                    storage={"budget": "100%", "segment": "4MiB", "tail_cache": "16MiB"})
        gw.start()
        answer_file = scope.path("answers")
        producer = scope.popen(venv_argv("producer.py", gw.bootstrap, "logs", "full", "all", "0", KAFKA_RATE,
                                         answer_file, "message.send.max.retries=0", "message.timeout.ms=20000"))
        sender = Sender(scope, pair, 5514, rate=UDP_RATE, size=200)
        for number in range(1, CYCLES + 1):
            cycle(check, gw, mount, answer_file, number)
        sent = sender.stop()
        producer.send_signal(signal.SIGTERM)
        check.equal(producer.wait(90 * SLOW), 0, "the producer ended without a fatal error")
        led = gw.wait_settled()
        show_ledger(led)
        named = led["lost_by_device"] + led["ring_full"] + sum(led["append_failed"].values())
        check.equal(led["appended"] + named, sent, f"stored + counted by name = {sent} sent")
        check.that(gw.process.poll() is None, "the same process from beginning to end")
        check.equal(gw.stop()[0], 0, "clean stop")
        compare(check, gw, answer_file, led)
    check.finish()


if __name__ == "__main__":
    main()

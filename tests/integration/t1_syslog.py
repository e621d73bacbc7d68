# SPDX-License-Identifier: Apache-2.0
"""Every line sent as syslog from one namespace to another is in the log exactly once.

t1_syslog.py af_packet|af_xdp

The real lines of the shared folder, if it is there, and a generated corpus; many devices, IPv4
and IPv6; a topic of 4 partitions. What is checked: bytes, order per device, the partition that
Kafka's own partitioner would choose, and every bucket of the ledger against what the sender knows.
"""

import os
import sys
from collections import defaultdict

from sltest import SANITIZED, SHARED, Checks, Scope, corpus, frames, need_root, say
from sltest.batch import read_topic
from sltest.daemon import Daemon, listener, show_ledger, topic
from sltest.load import Sender
from sltest.murmur2 import partition
from sltest.netns import Pair

PARTITIONS = 4
GENERATED = 1000 if SANITIZED else 4000


def gather(scope):
    """[(path, lines)] to send."""
    real = corpus.real_files()
    if not real:
        say(f"skipped part: no log files in {SHARED}/logs: only the generated corpus is sent")
    files = [(p, corpus.read_lines(p)) for p in real]
    lines = corpus.generated(int(os.environ.get("SLT_SEED", "20240601")), GENERATED)
    files.append((corpus.write(scope.path("generated.log"), lines), lines))
    return files


def expected(files, sources):
    """{device: its lines in the order sent}; devices take turns line by line."""
    by_source, n = defaultdict(list), 0
    for _, lines in files:
        for line in lines:
            by_source[sources[n % len(sources)].encode()].append(line)
            n += 1
    return by_source, n


def compare(check, want, got):
    seen = defaultdict(list)
    misplaced = 0
    for number, records in got.items():
        for r in records:
            seen[r.key].append(r.value)
            misplaced += partition(r.key, PARTITIONS) != number
    check.equal(misplaced, 0, "every record lies in the partition that Kafka's partitioner chooses")
    check.equal(sorted(seen), sorted(want), f"{len(want)} devices, each its own key")
    wrong = [k for k in want if seen[k] != want[k]]
    for k in wrong[:3]:
        at = next((i for i, (a, b) in enumerate(zip(want[k], seen[k])) if a != b), min(len(want[k]), len(seen[k])))
        say(f"{k.decode()}: {len(want[k])} sent, {len(seen[k])} stored, first difference at {at}: "
            f"{want[k][at:at + 1]} / {seen[k][at:at + 1]}")
    check.equal(len(wrong), 0, "every line once, byte for byte, in its device's order")
    check.equal(len([n for n, r in got.items() if r]), PARTITIONS, "every partition has records")


def main():
    backend = sys.argv[1]
    need_root()
    check = Checks()
    with Scope("t1") as scope:
        files = gather(scope)
        pair = Pair(scope, "t1", ipv6=True)
        sources = pair.sources + pair.sources6
        want, total = expected(files, sources)
        gw = Daemon(scope, ports=[pair.port(backend)],
                    listeners=[listener("syslog", "lan0", "syslog", "logs", 5514, key="source")],
                    topics=[topic("logs", PARTITIONS, compression_type="uncompressed")])
        say(f"ready after {gw.start():.2f} s")
        check.equal(gw.status()["ports"][0]["backend"], backend, "status names the path in use")
        frames_before = pair.sent_frames()
        sender = Sender(scope, pair, 5514, sources, lines=[p for p, _ in files], rate=5000)
        check.equal(sender.wait(), total, f"{total} lines of {len(files)} files sent from {len(sources)} devices")
        background = pair.sent_frames() - frames_before - total
        gw.wait_records("logs", total)
        led = gw.wait_settled()
        show_ledger(led)
        rows = {"accepted": total, "other": background if backend == "af_packet" else 0}
        check.equal(dict(frames.ledger_rows(led)), {k: v for k, v in rows.items() if v},
                    "every frame bucket equals what the sender knows")
        check.equal((led["wire"], led["lost_by_device"], led["rx"]), (sum(rows.values()), 0, sum(rows.values())),
                    "wire, lost by the device, received")
        check.equal((led["appended"], sum(led["append_failed"].values()), led["lost_at_crash"], led["difference"]),
                    (total, 0, 0, 0), "all of it appended, the ledger closes")
        code, seconds = gw.stop()
        check.equal(code, 0, f"clean stop ({seconds:.2f} s)")
        check.that(not pair.xdp_attached(), "no XDP program stays on the interface")
        compare(check, want, read_topic(gw.log_dir, "logs"))
    check.finish()


if __name__ == "__main__":
    main()

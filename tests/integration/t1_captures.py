# SPDX-License-Identifier: Apache-2.0
"""Captures replayed through `pcap`: every frame accounted for by name, the syslog ones in the log.

The real captures of the shared folder, if it is there, and generated ones with a frame of every
kind. What each frame must count as comes from an independent classifier (sltest/frames.py). Needs
no root.
"""

import glob
import os
import random

from sltest import SHARED, Checks, Scope, frames, say, wait_for
from sltest.batch import read_topic
from sltest.daemon import Daemon, listener, topic

FAULTS = ("udp_checksum", "udp_length", "fragment", "ip_checksum", "ip_version", "ip_header", "truncated",
          "l2_short", "l2_length")

# What docs/captures.md says that a user sees: (capture, trust) -> rows.
EXPECTED = {
    # captured on a loopback: no box on a wire may send from 127.0.0.1
    ("syslog-single-udp.pcap", False): {"bad[ip_source]": 1},
    # captured on the sender: the card would have filled in the UDP checksum
    ("syslog_udp.pcap", False): {"bad[udp_checksum]": 4},
    ("syslog_udp.pcap", True): {"accepted": 4},
    ("syslog-missing-pri.pcap", False): {"accepted": 1},
    ("fake-syslog-with-padding.pcap", False): {"accepted": 5},
}


def generated(scope, seed=7, count=5000):
    say(f"generated capture: seed {seed}, {count} frames")
    r, out = random.Random(seed), []
    for i in range(count):
        six = r.random() < 0.3
        src = f"fd00::{r.randint(1, 40):x}" if six else f"192.0.2.{r.randint(1, 40)}"
        if r.random() < 0.02:
            src = "::1" if six else "127.0.0.1"
        dst = "fd00::fff" if six else "192.0.2.250"
        payload = b"<13>1 - h a - - - " + b"%d " % i + r.randbytes(r.randint(0, 900))
        tags = tuple(range(1, 1 + r.choice((0, 0, 0, 1, 2, 3))))
        bad = r.choice(FAULTS) if r.random() < 0.3 else None
        if six and bad in ("fragment", "ip_checksum", "ip_version", "ip_header"):
            bad = None
        if bad in ("l2_short", "l2_length"):
            tags = ()
        port = 514 if r.random() < 0.9 else r.randint(1024, 60000)
        frame = frames.udp_frame(src, dst, r.randint(1, 65535), port, payload if r.random() > 0.02 else b"",
                                 vlan=tags, bad=bad)
        out.append(frame + b"\0" * r.choice((0, 0, 6)))
    path = scope.path("generated.pcap")
    frames.write_pcap(path, out)
    return path


def replay(scope, check, number, path, trust):
    want_frames = [f for f, _ in frames.read_pcap(path)]
    rows, accepted = frames.account(want_frames, {514}, trust)
    name = os.path.basename(path) + (" (checksum: trust)" if trust else "")
    port = {"name": "cap", "backend": "pcap", "file": path, **({"checksum": "trust"} if trust else {})}
    gw = Daemon(scope, f"cap{number}", ports=[port],
                listeners=[listener("syslog", "cap", "syslog", "logs", 514, key="source")],
                topics=[topic("logs", 2, compression_type="uncompressed")])
    gw.start()
    wait_for(f"{name} to be replayed", lambda: gw.ledger()["rx"] >= len(want_frames))
    led = gw.wait_settled()
    check.equal(dict(frames.ledger_rows(led)), dict(rows), f"{name}: {len(want_frames)} frames: {dict(rows)}")
    check.equal((led["wire"], led["lost_by_device"], led["appended"]), (len(want_frames), 0, len(accepted)),
                f"{name}: wire, lost, appended")
    check.equal(gw.stop()[0], 0, f"{name}: clean stop")
    stored = [(r.key, r.value) for records in read_topic(gw.log_dir, "logs").values() for r in records]
    want = [(d[0].encode(), d[4]) for d in accepted]
    check.that(sorted(stored) == sorted(want), f"{name}: {len(want)} datagrams in the log, byte for byte")
    for key in {k for k, _ in want}:
        if [v for k, v in stored if k == key] != [v for k, v in want if k == key]:
            check.that(False, f"{name}: order of {key.decode()}")
    expected = EXPECTED.get((os.path.basename(path), trust))
    if expected:
        check.equal(dict(rows), expected, f"{name}: as the manual says")
    return rows


def main():
    check = Checks()
    with Scope("cap") as scope:
        paths = sorted(glob.glob(os.path.join(SHARED, "pcap", "*.pcap")))
        if not paths:
            say(f"skipped part: no captures in {SHARED}/pcap: only generated ones are replayed")
        names = {os.path.basename(p) for p in paths}
        for missing in sorted({n for n, _ in EXPECTED} - names if paths else ()):
            say(f"skipped part: {missing} is not among the captures of {SHARED}")
        for i, path in enumerate([generated(scope)] + paths):
            rows = replay(scope, check, i, path, trust=False)
            if rows["bad[udp_checksum]"]:  # sums that were left to a card when it was captured
                replay(scope, check, 100 + i, path, trust=True)
    check.finish()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Raw frames of every fault over live back ends: every bucket of the ledger against the sender's list.

On af_packet the gateway sees all of them, so every row must agree with the independent classifier.
On af_xdp only what is for a listener is taken from the kernel: what is accepted, refused or has a bad
checksum must agree exactly, and no row may hold more than was sent of it.
"""

import os
import random
import socket
from collections import Counter

from sltest import RATE_DIV, Checks, Scope, frames, need_root, say
from sltest.daemon import Daemon, listener, show_ledger, topic
from sltest.netns import DEV_IF, GW4, GW6, Pair, enter

FRAMES = 6000 // RATE_DIV
FAULTS = ("udp_checksum", "udp_length", "ip_checksum", "ip_version", "ip_header", "truncated", "l2_length")
BAD_SOURCES = ("127.0.0.1", "0.0.0.0", "224.0.0.5", "255.255.255.255", GW4)


def one(r, i, macs):
    """A frame of a random kind; about half of them are good."""
    six = r.random() < 0.3
    src, dst, bad = (f"fd77::{r.randint(16, 40):x}", GW6, None) if six else (f"10.77.0.{r.randint(10, 40)}", GW4, None)
    kind, tags, port = r.random(), (), 5514
    payload = b"<14>1 - h a - - - %d " % i + r.randbytes(r.randint(0, 1000))
    if kind < 0.2 and not six:
        bad = r.choice(FAULTS)
    elif kind < 0.25:
        bad = "udp_checksum"
    elif kind < 0.3:
        payload = b""
    elif kind < 0.35 and not six:
        src = r.choice(BAD_SOURCES)
    elif kind < 0.4:
        port = r.randint(20000, 60000)
    elif kind < 0.5:
        tags = tuple(range(2, 2 + r.randint(1, 3)))
    frame = frames.udp_frame(src, dst, r.randint(1, 65535), port, payload, vlan=tags, bad=bad)
    return macs + frame[12:]


def send(pair, batch):
    """From a child inside the devices' namespace; a few hundred at a time, as fast as it goes."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            enter(pair.dev_ns)
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
                s.bind((DEV_IF, 0))
                for frame in batch:
                    s.send(frame)
            code = 0
        finally:
            os._exit(code)
    if os.waitpid(pid, 0)[1] != 0:
        raise RuntimeError("sending raw frames failed")


def run(scope, check, backend, seed):
    r = random.Random(seed)
    pair = Pair(scope, "b" + backend[-3:])
    macs = bytes.fromhex((pair.mac(pair.gw_ns, "gw0") + pair.mac(pair.dev_ns, DEV_IF)).replace(":", ""))
    batch = [one(r, i, macs) for i in range(FRAMES)]
    want, accepted = frames.account(batch, {5514})
    gw = Daemon(scope, backend, ports=[pair.port(backend)],
                listeners=[listener("syslog", "lan0", "syslog", "logs", 5514, key="source")],
                topics=[topic("logs", 4, compression_type="uncompressed")])
    gw.start()
    frames_before = pair.sent_frames()
    for i in range(0, len(batch), 200):
        send(pair, batch[i:i + 200])
    gw.wait_records("logs", len(accepted))
    led = gw.wait_settled()
    show_ledger(led)
    got = frames.ledger_rows(led)
    say(f"{backend}: sent {dict(want)}")
    if backend == "af_packet":
        # The gateway's kernel answers ports without a listener, and asks by ARP where to.
        background = pair.sent_frames() - frames_before - len(batch)
        want["other"] += background
        check.equal(dict(got), dict(want), f"{backend}: all {len(batch)} frames under the right names")
        check.equal(led["wire"], len(batch) + background, f"{backend}: wire is what was sent and {background} ARP replies")
    else:
        for row in ("accepted", "refused[empty]", "bad[udp_checksum]"):
            check.equal(got[row], want[row], f"{backend}: {row}")
        check.equal({k: v for k, v in (got - want).items()}, {}, f"{backend}: no row holds more than was sent of it")
        check.equal(led["wire"], led["rx"] + led["lost_by_device"], f"{backend}: wire = received + lost by the device")
    check.equal((led["lost_by_device"], led["appended"]), (0, len(accepted)), f"{backend}: nothing lost, all appended")
    check.equal(gw.stop()[0], 0, f"{backend}: clean stop")
    compare_log(check, gw, backend, accepted)


def compare_log(check, gw, backend, accepted):
    from sltest.batch import read_topic
    stored = Counter((rec.key, rec.value) for part in read_topic(gw.log_dir, "logs").values() for rec in part)
    check.that(stored == Counter((d[0].encode(), d[4]) for d in accepted),
               f"{backend}: the log holds the {len(accepted)} good ones, byte for byte, keyed by their source")


def main():
    need_root()
    check = Checks()
    seed = int(os.environ.get("SLT_SEED", "11"))
    say(f"seed {seed}, {FRAMES} frames per back end")
    with Scope("buckets") as scope:
        for backend in ("af_packet", "af_xdp"):
            run(scope, check, backend, seed)
    check.finish()


if __name__ == "__main__":
    main()

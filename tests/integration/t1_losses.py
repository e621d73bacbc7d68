# SPDX-License-Identifier: Apache-2.0
"""What a back end lost stands in the first status asked for afterwards, not a second later.

t1_losses.py af_packet|af_xdp

The daemon is stopped (SIGSTOP) while more is sent than the port's ring holds, then goes on. The
first status in which everything that the ring held is appended must name the rest as
lost_by_device, to the frame; so must the metrics.
"""

import signal
import sys

from sltest import SANITIZED, Checks, Scope, metrics, need_root, say, wait_for
from sltest.daemon import Daemon, listener, show_ledger, topic
from sltest.load import Sender
from sltest.netns import DEV_IF, Pair

COUNT = {"af_xdp": 5000, "af_packet": 20000}  # rings: 2,048 and 8,192 frames
ROUNDS = 2 if SANITIZED else 5  # housekeeping, once a second, hides a late reading now and then


def settled(gw, rx_before):
    """The first ledger that has the rx of the one before it, more than rx_before, and nothing under way."""
    seen = {"rx": rx_before}

    def look():
        led = gw.ledger()
        same, seen["rx"] = led["rx"] == seen["rx"] and led["rx"] > rx_before, led["rx"]
        return led if same and led["in_flight"] == 0 else None
    return wait_for("the gateway to take what the ring held", look, 20, step=0.02)


def one_round(check, scope, pair, gw, count, n):
    before, dropped = gw.ledger(), pair.stats(pair.dev_ns, DEV_IF)["tx"]["dropped"]
    gw.process.send_signal(signal.SIGSTOP)
    try:
        sent = Sender(scope, pair, 5514, count=count, size=200, burst=16).wait()
    finally:
        gw.process.send_signal(signal.SIGCONT)
    led = settled(gw, before["rx"])
    reached = sent - (pair.stats(pair.dev_ns, DEV_IF)["tx"]["dropped"] - dropped)
    grown = {k: led[k] - before[k] for k in ("wire", "rx", "lost_by_device", "appended")}
    say(f"round {n}: sent {sent}, reached the port {reached}: {grown}")
    check.that(grown["lost_by_device"] > 0, "the ring was too small, as meant")
    check.equal((grown["wire"], grown["lost_by_device"], led["difference"]),
                (reached, reached - grown["appended"], 0), "what is missing stands in this very status")
    return led


def main():
    backend = sys.argv[1]
    need_root()
    check = Checks()
    with Scope("t1l") as scope:
        pair = Pair(scope, "t1l")
        gw = Daemon(scope, ports=[pair.port(backend)],
                    listeners=[listener("raw", "lan0", "raw", "load", 5514, key="source")],
                    topics=[topic("load", 2)])
        gw.start()
        for n in range(ROUNDS):
            led = one_round(check, scope, pair, gw, COUNT[backend], n)
        show_ledger(led)
        said = metrics.value(metrics.parse(gw.http("/metrics")[1]), "sluice_frames_lost_by_device_total")
        check.equal(said, led["lost_by_device"], "the metrics say the same")
        check.equal(gw.stop()[0], 0, "clean stop")
    check.finish()


if __name__ == "__main__":
    main()

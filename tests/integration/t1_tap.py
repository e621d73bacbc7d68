# SPDX-License-Identifier: Apache-2.0
"""The tap back end under the real daemon: it makes an interface, what the kernel sends into it is stored.

Every datagram once, byte for byte; every frame of the interface in the ledger; no ICMP unreachable
in its namespace; the interface gone with the daemon.
"""

import json
import os

from sltest import Checks, Scope, frames, need_root, skip
from sltest.base import ip
from sltest.batch import read_topic
from sltest.corpus import generated, write
from sltest.daemon import Daemon, listener, show_ledger, topic
from sltest.load import Sender
from sltest.netns import sysctl, unreachables

IFACE, GATEWAY, MAC = "tapgw", "10.78.0.1", "02:00:00:00:78:01"
SOURCES = [f"10.78.0.{i}" for i in range(10, 20)]
COUNT = 3000


class Side:
    """The kernel's side of the tap: the devices' side. A namespace without any other interface."""

    def __init__(self, scope):
        self.dev_ns, self.sources = f"slt-tap-{os.getpid()}", SOURCES
        ip("netns", "add", self.dev_ns)
        scope.undo(ip, "netns", "del", self.dev_ns)
        for scope_of in ("all", "default"):
            sysctl(self.dev_ns, f"ipv6/conf/{scope_of}/disable_ipv6", 1)
        ip("link", "set", "lo", "up", ns=self.dev_ns)

    def address(self):
        """Once the daemon has made the interface."""
        for a in SOURCES:
            ip("addr", "add", f"{a}/24", "dev", IFACE, ns=self.dev_ns)
        ip("neigh", "replace", GATEWAY, "lladdr", MAC, "dev", IFACE, "nud", "permanent", ns=self.dev_ns)

    def sent(self):
        tx = json.loads(ip("-j", "-s", "link", "show", IFACE, ns=self.dev_ns))[0]["stats64"]["tx"]
        return tx["packets"] + tx["dropped"]


def main():
    need_root()
    if not os.path.exists("/dev/net/tun"):
        skip("no /dev/net/tun")
    check = Checks()
    with Scope("tap") as scope:
        side = Side(scope)
        gw = Daemon(scope, ports=[{"name": "lan0", "backend": "tap", "device": IFACE, "netns": side.dev_ns}],
                    listeners=[listener("syslog", "lan0", "syslog", "logs", 5514, key="source")],
                    topics=[topic("logs", 3, compression_type="uncompressed")])
        gw.start()
        check.equal(gw.status()["ports"][0]["backend"], "tap", "status names the path in use")
        side.address()
        lines = generated(int(os.environ.get("SLT_SEED", "78")), COUNT)
        sent = Sender(scope, side, 5514, lines=[write(scope.path("lines"), lines)], rate=3000, to=GATEWAY).wait()
        check.equal(sent, COUNT, f"{sent} datagrams sent into the tap")
        gw.wait_records("logs", COUNT)
        led = gw.wait_settled()
        show_ledger(led)
        check.equal(dict(frames.ledger_rows(led)), {"accepted": COUNT}, "every one accepted, and no other frame")
        check.equal((led["wire"], led["lost_by_device"], led["appended"], led["difference"]), (side.sent(), 0, COUNT, 0),
                    "wire is what the kernel sent, none lost, all appended, no difference")
        check.equal(unreachables(side.dev_ns), 0, "no ICMP unreachable")
        check.equal(gw.stop()[0], 0, "clean stop")
        check.that(IFACE not in ip("link", "show", ns=side.dev_ns), "the interface went with the daemon")
        stored = [(r.key, r.value) for records in read_topic(gw.log_dir, "logs").values() for r in records]
        want = [(SOURCES[i % len(SOURCES)].encode(), line) for i, line in enumerate(lines)]
        check.that(sorted(stored) == sorted(want), f"{COUNT} datagrams in the log, byte for byte, keyed by their sender")
    check.finish()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""No ICMP unreachable ever leaves for an ingest port, on any back end that shares an interface with the kernel.

The kernel has no socket on an ingest port, so left alone it would answer each datagram that it
sees. Counted is what the gateway's namespace sends; a port without a listener shows that the
count would move. (tap: t1_tap.py.)
"""

from sltest import Checks, Scope, need_root, say, wait_for
from sltest.daemon import Daemon, listener, topic
from sltest.load import Sender
from sltest.netns import Pair, unreachables

COUNT = 3000


def one(scope, check, backend):
    pair = Pair(scope, "ic" + backend[-3:], ipv6=True)
    gw = Daemon(scope, backend, ports=[pair.port(backend)],
                listeners=[listener("syslog", "lan0", "syslog", "logs", 5514, key="source")],
                topics=[topic("logs", 1)])
    gw.start()
    sources = pair.sources + pair.sources6
    Sender(scope, pair, 5514, sources, rate=3000, count=COUNT).wait()
    gw.wait_records("logs", COUNT)
    check.equal(unreachables(pair.gw_ns), 0, f"{backend}: {COUNT} datagrams to a listener, no ICMP unreachable")
    Sender(scope, pair, 5999, sources, rate=100, count=20).wait()
    wait_for("the kernel to answer where nobody listens", lambda: unreachables(pair.gw_ns) > 0)
    say(f"{backend}: a port without a listener is answered by the kernel, as on any host")
    check.equal(gw.stop()[0], 0, f"{backend}: clean stop")


def main():
    need_root()
    check = Checks()
    with Scope("icmp") as scope:
        for backend in ("af_packet", "af_xdp"):
            one(scope, check, backend)
    check.finish()


if __name__ == "__main__":
    main()

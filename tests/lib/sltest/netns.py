# SPDX-License-Identifier: Apache-2.0
"""Two network namespaces joined by veth: one of devices, one that holds only the gateway's port."""

import json
import os

from .base import enter, ip, wait_for

DEV_IF = "dev0"
GW_IF = "gw0"
GW4 = "10.77.0.1"
GW6 = "fd77::1"


def sysctl(ns, key, value):
    """Sets net/KEY in a namespace."""
    # /proc/sys/net shows the namespace of who opens it, so a child enters it and writes.
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            enter(ns)
            with open("/proc/sys/net/" + key, "w") as f:
                f.write(str(value))
            code = 0
        finally:
            os._exit(code)
    if os.waitpid(pid, 0)[1] != 0:
        raise RuntimeError(f"cannot set net/{key}={value} in {ns}")


def unreachables(ns):
    """ICMP and ICMPv6 destination unreachables that a namespace sent."""
    rows = [line.split() for line in ip("netns", "exec", ns, "cat", "/proc/net/snmp", "/proc/net/snmp6",
                                        check=False).splitlines()]
    icmp = [r for r in rows if r[0] == "Icmp:"]
    four = int(icmp[1][icmp[0].index("OutDestUnreachs")])
    return four + sum(int(r[1]) for r in rows if r[0] == "Icmp6OutDestUnreachs")


class Pair:
    """devices 10.77.0.10 .. in one namespace, the gateway 10.77.0.1 in the other.

    Neighbour entries are fixed on both sides and nothing is learnt or announced, so that every
    frame on the wire is one that the test sent: the ledger can be compared with what is known.
    """

    def __init__(self, scope, name, devices=range(10, 42), mtu=1500, ipv6=False):
        pid = os.getpid()
        self.dev_ns = f"slt-{name}d-{pid}"
        self.gw_ns = f"slt-{name}g-{pid}"
        for ns in (self.dev_ns, self.gw_ns):
            ip("netns", "add", ns)
            scope.undo(ip, "netns", "del", ns)
            if not ipv6:
                sysctl(ns, "ipv6/conf/all/disable_ipv6", 1)
                sysctl(ns, "ipv6/conf/default/disable_ipv6", 1)
            else:
                sysctl(ns, "ipv6/conf/default/router_solicitations", 0)
                sysctl(ns, "ipv6/conf/default/accept_dad", 0)
                sysctl(ns, "ipv6/conf/default/mldv2_unsolicited_report_interval", 20)
        ip("link", "add", DEV_IF, "netns", self.dev_ns, "mtu", mtu, "type", "veth",
           "peer", "name", GW_IF, "netns", self.gw_ns, "mtu", mtu)
        self.sources = [f"10.77.0.{i}" for i in devices]
        for a in self.sources:
            ip("addr", "add", f"{a}/24", "dev", DEV_IF, ns=self.dev_ns)
        ip("addr", "add", f"{GW4}/24", "dev", GW_IF, ns=self.gw_ns)
        self.sources6 = []
        for ns, dev in ((self.dev_ns, DEV_IF), (self.gw_ns, GW_IF)):
            ip("link", "set", "lo", "up", ns=ns)
            ip("link", "set", dev, "up", ns=ns)
        if ipv6:
            self.sources6 = [f"fd77::{i:x}" for i in (0x10, 0x11, 0xabcd)]
            for a in self.sources6:
                ip("addr", "add", f"{a}/64", "dev", DEV_IF, "nodad", ns=self.dev_ns)
            ip("addr", "add", f"{GW6}/64", "dev", GW_IF, "nodad", ns=self.gw_ns)
        wait_for("the veth pair's carrier", self._up)
        self._fix_neighbours()
        if ipv6:
            self._wait_quiet()

    def _up(self):
        return all("LOWER_UP" in ip("link", "show", dev, ns=ns)
                   for ns, dev in ((self.dev_ns, DEV_IF), (self.gw_ns, GW_IF)))

    def mac(self, ns, dev):
        return json.loads(ip("-j", "link", "show", dev, ns=ns))[0]["address"]

    def _fix_neighbours(self):
        dev_mac, gw_mac = self.mac(self.dev_ns, DEV_IF), self.mac(self.gw_ns, GW_IF)
        for a in [GW4] + ([GW6] if self.sources6 else []):
            ip("neigh", "replace", a, "lladdr", gw_mac, "dev", DEV_IF, "nud", "permanent", ns=self.dev_ns)
        for a in self.sources + self.sources6:
            ip("neigh", "replace", a, "lladdr", dev_mac, "dev", GW_IF, "nud", "permanent", ns=self.gw_ns)

    def _wait_quiet(self):
        """Until the announcements of IPv6 multicast groups have ended: 40 looks without a frame."""
        seen = {"n": -1, "same": 0}

        def quiet():
            n = self.stats(self.dev_ns, DEV_IF)["tx"]["packets"]
            seen["same"] = seen["same"] + 1 if n == seen["n"] else 0
            seen["n"] = n
            return seen["same"] >= 40
        wait_for("quiet on the wire", quiet)

    def stats(self, ns, dev):
        return json.loads(ip("-j", "-s", "link", "show", dev, ns=ns))[0]["stats64"]

    def sent_frames(self):
        return self.stats(self.dev_ns, DEV_IF)["tx"]["packets"]

    def gateway_frames_out(self):
        return self.stats(self.gw_ns, GW_IF)["tx"]["packets"]

    def gateway_dropped(self):
        return self.stats(self.gw_ns, GW_IF)["rx"]["dropped"]

    def xdp_attached(self):
        return "xdp" in ip("link", "show", GW_IF, ns=self.gw_ns)

    def port(self, backend, name="lan0"):
        """The config of a port on the gateway's side."""
        return {"name": name, "backend": backend, "device": GW_IF, "netns": self.gw_ns}

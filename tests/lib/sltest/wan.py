# SPDX-License-Identifier: Apache-2.0
"""A box and a centre far apart: namespaces of their own, and a router between them that can stop to forward.

A cut made in the router is what a lost uplink looks like: no carrier changes, nothing answers, what
was sent is gone. Neighbour entries are fixed, so that every frame towards the centre is one that
somebody on the box sent.
"""

import json
import os

from .base import enter, ip, say
from .netns import sysctl

BOX_IF, CENTRE_IF = "box0", "centre0"  # the router's; the others' is up0
BOX_IP, CENTRE_IP = "10.78.1.2", "10.78.2.2"


class Wan:
    """The calling process enters the box's namespace, and with it all that it starts from then on."""

    def __init__(self, scope, name):
        self.box_ns, self.router_ns, self.centre_ns = (f"slt-{name}{part}-{os.getpid()}" for part in "brc")
        for ns in (self.box_ns, self.router_ns, self.centre_ns):
            ip("netns", "add", ns)
            scope.undo(ip, "netns", "del", ns)
            sysctl(ns, "ipv6/conf/all/disable_ipv6", 1)
            sysctl(ns, "ipv6/conf/default/disable_ipv6", 1)
            ip("link", "set", "lo", "up", ns=ns)
        self._join(self.box_ns, BOX_IF, BOX_IP)
        self._join(self.centre_ns, CENTRE_IF, CENTRE_IP)
        self.restore()
        enter(self.box_ns)

    def _join(self, ns, router_if, address):
        gate = address.rsplit(".", 1)[0] + ".1"
        ip("link", "add", "up0", "netns", ns, "type", "veth", "peer", "name", router_if, "netns", self.router_ns)
        for where, dev, a in ((ns, "up0", address), (self.router_ns, router_if, gate)):
            ip("addr", "add", f"{a}/24", "dev", dev, ns=where)
            ip("link", "set", dev, "up", ns=where)
        for where, dev, a, there, there_if in ((ns, "up0", gate, self.router_ns, router_if),
                                               (self.router_ns, router_if, address, ns, "up0")):
            mac = json.loads(ip("-j", "link", "show", there_if, ns=there))[0]["address"]
            ip("neigh", "replace", a, "lladdr", mac, "dev", dev, "nud", "permanent", ns=where)
        ip("route", "add", "default", "via", gate, ns=ns)

    def cut(self):
        sysctl(self.router_ns, "ipv4/ip_forward", 0)
        say("link cut")

    def restore(self):
        sysctl(self.router_ns, "ipv4/ip_forward", 1)

    def frames_to_centre(self):
        """Frames that the box has ever sent towards the centre."""
        return json.loads(ip("-j", "-s", "link", "show", BOX_IF, ns=self.router_ns))[0]["stats64"]["rx"]["packets"]

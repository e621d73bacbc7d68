# SPDX-License-Identifier: Apache-2.0
"""A gateway with an uplink under test: its config, what it says of the uplink, what lies where at the end."""

import json

from .base import say, wait_for
from .carried import Expected, judge
from .client import Client
from .daemon import Daemon


class Box(Daemon):
    """A Daemon whose topics go to a centre. uplink: further keys of its config section."""

    def __init__(self, scope, centre, topics, *, name="gw", gateway=None, ports=(), listeners=(), uplink=None,
                 bootstrap=None, mqtt=None, extra=None, **kw):
        self.centre = centre
        section = {"bootstrap": bootstrap or centre.bootstrap, "topics": [t["name"] for t in topics], **(uplink or {})}
        more = {"uplink": section, **({"mqtt": mqtt} if mqtt else {}), **(extra or {})}
        super().__init__(scope, name, ports=list(ports), listeners=list(listeners), topics=topics, extra=more, **kw)
        if gateway:  # one that is another's copy has its name
            self.config["gateway"]["id"] = gateway
            self.write_config()
        self.gateway = self.config["gateway"]["id"]
        self._client = None

    # ---- what it says ----

    def uplink(self):
        return self.status()["uplink"]

    def book(self):
        return self.status()["log"]

    def forwarded(self):
        return self.book()["forwarded"]

    def appended(self):
        return sum(self.book()["appended"].values())

    def command(self, *words):
        """`sluice uplink WORDS`, as an operator types it."""
        return self.cli("uplink", *words, "--socket", self.socket)

    def must(self, *words):
        r = self.command(*words)
        if r.returncode != 0:
            raise RuntimeError(f"sluice uplink {' '.join(words)}: exit {r.returncode}: {r.stdout}{r.stderr}")
        return r.stdout

    def wait_state(self, state, timeout=30.0):
        return wait_for(f"the uplink of {self.name} to be {state}", lambda: self.uplink()["state"] == state, timeout)

    def wait_more(self, count, timeout=60.0):
        """Until so many more records have been forwarded."""
        want = self.forwarded() + count
        wait_for(f"{count} more records to be forwarded by {self.name}", lambda: self.forwarded() >= want, timeout)

    def wait_drained(self, timeout=120.0):
        """Until there is no backlog and the book closes; returns it."""
        def drained():
            b = self.book()
            return b if b["backlog"] == 0 and b["difference"] == 0 else None
        return wait_for(f"{self.name} to have forwarded all it has", drained, timeout, step=0.2)

    # ---- what there is ----

    @property
    def client(self):
        if not self._client or self._client.process.poll() is not None:
            self._client = Client(self.scope, self.bootstrap)
        return self._client

    def expected(self, topics, keep_values=False):
        """Its log, as its own Kafka port hands it out."""
        path = self.scope.path(f"{self.name}.rows")
        self.client.read(list(topics), path, limit_s=120)
        return Expected.read(path, keep_values)


def compare(check, box, topics, *, but=(), destination=lambda topic: topic, keep_values=False, text="at the centre"):
    """The box's log against the centre, read_committed; returns (Expected, Carried)."""
    expected = box.expected(topics, keep_values)
    path = box.scope.path(f"{box.name}.centre.rows")
    there = [t for t in map(destination, topics) if t in box.centre.client.topics()]
    box.centre.client.read(there, path, limit_s=120)
    return expected, judge(check, expected, path, box.gateway, text, but, destination)


def check_book(check, box, forwarded, dead_letter=0):
    """The log's book closes on what the centre holds."""
    b = box.book()
    say("log: " + json.dumps(b))
    check.equal((b["forwarded"], b["dead_letter"], b["backlog"], b["evicted_unsent"], b["difference"]),
                (forwarded, dead_letter, 0, 0, 0), "forwarded, dead_letter, backlog, evicted_unsent, difference")
    check.equal(sum(b["appended"].values()), forwarded + dead_letter, "all that was appended is there, or named")


def check_positions(check, box):
    """The newest position of each partition stands at the log's end; returns the gateway's claims, in order."""
    newest, claims = box.centre.positions()
    at = {(p["topic"], p["partition"]): p["offset"] for k, p in newest.items()
          if p and k.startswith(box.gateway + "/")}
    ends = {(t["name"], p["id"]): p["end"] for t in box.status()["topics"] for p in t["partitions"]
            if p["end"] > 0 and t["name"] in box.config["uplink"]["topics"]}
    check.equal({k: v for k, v in at.items() if v > 0}, ends, "positions at the centre are the log's ends")
    return [c for c in claims if c["gateway"] == box.gateway]

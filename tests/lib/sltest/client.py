# SPDX-License-Identifier: Apache-2.0
"""A confluent-kafka client in a process of its own (tests/clients/client.py), and the centre as one sees it."""

import base64
import json
import os
import select
import subprocess

from .base import SLOW, Timeout, say, wait_for
from .broker import Cluster
from .kafka import need_venv, venv_argv

CENTRE_VERSION = os.environ.get("SLT_CENTRE_VERSION", "4.1.1")


class Refused(Exception):
    """What the client said; its text begins with the exception's name there."""


class Client:
    """Methods of the client by their names: client.create("t", 4) asks {"do": "create", ...}."""

    def __init__(self, scope, bootstrap, ns=None, settings=()):
        need_venv()
        argv = venv_argv("client.py", bootstrap, *(f"{k}={v}" for k, v in dict(settings).items()))
        self.process = scope.popen(argv, ns=ns, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, do, limit=90, **arguments):
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], limit * SLOW)[0]:
            raise Timeout(f"no answer to {do} within {limit * SLOW} s")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the client ended with {self.process.wait()} at {do}")
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["ok"]

    def topics(self):
        return self.ask("topics")

    def create(self, topic, partitions, replication=-1, **config):
        return self.ask("create", topic=topic, partitions=partitions, replication=replication,
                        config={k.replace("_", "."): str(v) for k, v in config.items()})

    def records(self, topic):
        """Between start and end, markers included: for progress, not for counts."""
        return sum(end - first for first, end in self.ask("ends", topic=topic).values())

    def leaders(self, topic):
        return {int(p): n for p, n in self.ask("leaders", topic=topic).items()}

    def read(self, topics, out, limit_s=60, isolation="read_committed"):
        """Rows (carried.py) of all records into a file; their number."""
        return self.ask("read", limit=limit_s + 10, topics=topics, out=out, isolation=isolation, limit_s=limit_s * SLOW)

    def show(self, topic, **kw):
        """Records of a small topic; key, value and headers as bytes."""
        def plain(b):
            return None if b is None else base64.b64decode(b)
        out = self.ask("show", topic=topic, **kw)
        for r in out:
            r.update(key=plain(r["key"]), value=plain(r["value"]), headers=[(n, plain(v)) for n, v in r["headers"]])
        return out


class Centre(Cluster):
    """A cluster with a client beside it, on the centre's side of any link."""

    def __init__(self, scope, nodes=1, *, wan=None, version=CENTRE_VERSION, **kw):
        if wan:
            from .wan import CENTRE_IP
            kw.update(ns=wan.centre_ns, address=CENTRE_IP)
        super().__init__(scope, nodes, version, name="centre", **kw)
        self.client = Client(scope, self.bootstrap, ns=self.ns)
        self.wait_whole()
        say(f"{nodes} node(s) of Apache Kafka {version} answer at {self.bootstrap}")

    def wait_whole(self, timeout=60):
        """Until every node is in the metadata."""
        def whole():
            try:
                return len(self.client.ask("brokers")) == len(self.nodes)
            except Refused:
                return False
        wait_for("all nodes in the metadata", whole, timeout, step=0.2)

    # ---- what the uplink keeps here ----

    def positions(self, topic="sluice.positions"):
        """({key: newest value}, [claims in order]) of the positions topic, as JSON."""
        newest, claims = {}, []
        for r in self.client.show(topic):
            key, value = r["key"].decode(), json.loads(r["value"]) if r["value"] else None
            newest[key] = value
            if "/" not in key:
                claims.append(value)
        return newest, claims

    def dead_letters(self, topic="sluice.dead"):
        """Records of the dead-letter topic; headers as a dict of text."""
        if topic not in self.client.topics():
            return []
        out = self.client.show(topic, values=False)
        for r in out:
            r["headers"] = {n: (v or b"").decode(errors="replace") for n, v in r["headers"]}
        return out

    def fence(self, gateway):
        """What a second instance of this gateway's uplink would do first."""
        return self.client.ask("fence", transactional_id=f"sluice.{gateway}")

    def coordinator(self, gateway):
        return self.node(self.client.ask("coordinator", transactional_id=f"sluice.{gateway}"))

# SPDX-License-Identifier: Apache-2.0
"""Apache Kafka's own tools in a JVM that runs one after the other (java/ToolServer.java)."""

import json
import re

from .deps import tool_server_argv
from .proc import LineProcess
from .report import expect

PACKAGE = "org.apache.kafka.tools."
# What 4.x moved; the others have one name in both.
OLD = {"ConsoleProducer": "kafka.tools.ConsoleProducer",
       "BrokerApiVersionsCommand": "kafka.admin.BrokerApiVersionsCommand", "AclCommand": "kafka.admin.AclCommand"}
SAME = {"ConfigCommand": "kafka.admin.ConfigCommand", "ConsoleConsumer": PACKAGE + "consumer.ConsoleConsumer",
        "ConsumerGroupCommand": PACKAGE + "consumer.group.ConsumerGroupCommand",
        "ReassignPartitionsCommand": PACKAGE + "reassign.ReassignPartitionsCommand"}
COMPLAINTS = re.compile(r"^(ERROR|\[?Error|Exception|org\.apache\.kafka\S*Exception|java\.\S*Exception)", re.M)


class Jvm(LineProcess):
    def __init__(self, bench, version, label):
        super().__init__(bench.scope, tool_server_argv(version), {}, bench.path(f"tools-{version}-{label}.log"))
        self.version = version

    def request(self, tool, *args, stdin="", **more):
        name = SAME.get(tool) or (OLD.get(tool) if self.version.startswith("3.") else None) or PACKAGE + tool
        return {"class": name, "args": [str(a) for a in args], "stdin": stdin, **more}

    def run(self, tool, *args, timeout=40, ok=True, **more):
        a = self.ask(self.request(tool, *args, **more), timeout)
        if ok:
            check(tool, a)
        return a


def check(tool, a):
    bad = COMPLAINTS.search(a["err"]) or COMPLAINTS.search(a["out"])
    expect(a["exit"] == 0 and not bad, f"{tool}: exit {a['exit']}: {(a['err'] + a['out'])[-400:]}")


def events(text, name):
    """The lines of a verifiable producer or consumer that bear a name."""
    out = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [e for e in out if e.get("name") == name]

# SPDX-License-Identifier: Apache-2.0
"""What the matrix runs against: the gateway with its UDP, an Apache Kafka, or what is named."""

import contextlib
import subprocess

from sltest.base import say, wait_for
from sltest.broker import Kafka
from sltest.daemon import Daemon, listener, show_ledger, topic
from sltest.load import Sender
from sltest.netns import Pair

UDP_TOPIC, UDP_PARTITIONS = "m.udp", 4


class Gateway:
    def __init__(self, scope, rate):
        pair = Pair(scope, "cm")
        self.daemon = Daemon(scope, ports=[pair.port("af_packet")],
                             listeners=[listener("syslog", "lan0", "syslog", UDP_TOPIC, 5514, key="source")],
                             topics=[topic(UDP_TOPIC, UDP_PARTITIONS)], kafka_config={
                                 "group.initial.rebalance.delay.ms": 0})
        self.daemon.start()
        self.sender = Sender(scope, pair, 5514, rate=rate, size=150)
        wait_for("UDP in the topic", lambda: self.daemon.records(UDP_TOPIC) > 100)
        self.bootstrap, self.udp_topic, self.udp_partitions = self.daemon.bootstrap, UDP_TOPIC, UDP_PARTITIONS

    def conclude(self, check, beside_udp):
        sent = self.sender.stop()
        ledger = self.daemon.wait_settled()
        check.equal(self.daemon.records(UDP_TOPIC), ledger["appended"] + beside_udp,
                    f"the UDP topic holds what the ledger appended and {beside_udp} records of the clients")
        show_ledger(ledger)
        check.that(0 < ledger["appended"] <= sent, f"{ledger['appended']} of {sent} datagrams are in it")
        code, seconds = self.daemon.stop(30)
        check.equal(code, 0, f"clean stop ({seconds:.1f} s)")


class Other:
    """A broker that gets its "UDP" topic from kcat."""

    def __init__(self, bootstrap):
        self.bootstrap, self.udp_topic, self.udp_partitions = bootstrap, UDP_TOPIC, 1
        lines = "".join(f"<13>line {i}\n" for i in range(3000)).encode()
        subprocess.run(["kcat", "-b", bootstrap, "-P", "-t", UDP_TOPIC], input=lines, check=True, timeout=60)

    def conclude(self, _check, _beside_udp):
        pass


@contextlib.contextmanager
def open_target(scope, against, version, rate):
    if against == "gateway":
        target = Gateway(scope, rate)
    elif against == "kafka":
        target = Other(Kafka(scope, version).bootstrap)
    else:
        target = Other(against)
    say(f"against {against} at {target.bootstrap}")
    yield target

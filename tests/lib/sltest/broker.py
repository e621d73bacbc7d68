# SPDX-License-Identifier: Apache-2.0
"""A real Apache Kafka of one node, to hold a test's own expectations against."""

import os
import socket
import subprocess

from .base import DEPS, SOURCE, Timeout, free_port, skip, wait_for

PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={dir}/log
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""


def jars(version):
    return os.path.join(DEPS, f"kafka-{version}")


class Kafka:
    """Started and answering when made; its files and its process go with the scope."""

    def __init__(self, scope, version="3.9.1", settings=()):
        if not os.path.isdir(jars(version)):
            skip(f"Apache Kafka {version} is not in {jars(version)} (scripts/setup.sh test fetches it)")
        self.scope, self.version, self.dir = scope, version, scope.path(f"kafka-{version}")
        self.port, self.log_path = free_port(), os.path.join(self.dir, "kafka.out")
        os.makedirs(self.dir)
        config = os.path.join(self.dir, "server.properties")
        with open(config, "w") as f:
            f.write(PROPERTIES.format(port=self.port, controller=free_port(), dir=self.dir))
            f.writelines(f"{k}={v}\n" for k, v in dict(settings).items())
        node_id = self._java("kafka.tools.StorageTool", "random-uuid").stdout.strip()
        self._java("kafka.tools.StorageTool", "format", "-t", node_id, "-c", config)
        with open(self.log_path, "wb") as log:
            self.process = scope.popen(self._argv("kafka.Kafka", config), stdout=log, stderr=log)
        wait_for(f"Apache Kafka {version} to answer", self._answers, 60)

    def _argv(self, *args):
        return ["java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", f"{jars(self.version)}/*:{SOURCE}/tests/lib/kafka", *args]

    def _java(self, *args):
        return subprocess.run(self._argv(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True,
                              timeout=60)

    def _answers(self):
        if self.process.poll() is not None:
            raise Timeout(f"Apache Kafka ended with {self.process.returncode}: {self.tail()}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def tail(self, lines=15):
        with open(self.log_path, errors="replace") as f:
            return "".join(f.readlines()[-lines:])

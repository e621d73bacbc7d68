# SPDX-License-Identifier: Apache-2.0
"""A real Apache Kafka of one or three combined KRaft nodes.

A node can be stopped, started, killed and frozen; it is known by its number, from 1, and reached by
its process id. All nodes of a cluster have the same address and differ in their ports.
"""

import base64
import os
import signal
import socket
import subprocess

from .base import DEPS, SLOW, SOURCE, Timeout, enter, free_port, say, skip, wait_for

COMMON = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.num.partitions": 4,
    "group.initial.rebalance.delay.ms": 0,
}
# One listener is for the nodes themselves and for tests; more may be asked for.
PLAIN = "PLAINTEXT"


def jars(version):
    return os.path.join(DEPS, f"kafka-{version}")


def _argv(version, *args, heap="512m"):
    return ["java", f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp",
            f"{jars(version)}/*:{SOURCE}/tests/lib/kafka", *args]


def _replicas(nodes):
    """What a cluster of so many nodes keeps, for its internal topics and by default."""
    copies, least = min(nodes, 3), 2 if nodes > 2 else 1
    return {"default.replication.factor": copies, "min.insync.replicas": least,
            "offsets.topic.replication.factor": copies, "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": least}


class Node:
    """One process of a cluster; its files lie below the scope's folder and stay over a restart."""

    def __init__(self, cluster, number):
        self.cluster, self.number = cluster, number
        self.dir = os.path.join(cluster.dir, f"node{number}")
        self.log_path, self.config_path = os.path.join(self.dir, "kafka.out"), os.path.join(self.dir, "server.properties")
        self.process = None
        os.makedirs(self.dir)

    def write_config(self, properties):
        with open(self.config_path, "w") as f:
            f.writelines(f"{k}={v}\n" for k, v in properties.items())

    def launch(self):
        with open(self.log_path, "ab") as log:
            self.process = self.cluster.scope.popen(_argv(self.cluster.version, "kafka.Kafka", self.config_path,
                                                          heap=self.cluster.heap),
                                                    ns=self.cluster.ns, stdout=log, stderr=log)
        # A test's end waits for no leader to move, and a frozen node would not hear a SIGTERM.
        self.cluster.scope.undo(self.process.kill)

    def start(self, timeout=60):
        self.launch()
        self.wait_answers(timeout)

    def wait_answers(self, timeout=60):
        wait_for(f"node {self.number} of Apache Kafka {self.cluster.version} to answer", self.answers, timeout)

    def answers(self):
        if self.process.poll() is not None:
            raise Timeout(f"Apache Kafka ended with {self.process.returncode}: {self.tail()}")
        return self.cluster.connects(self.cluster.port_of(self.number))

    def stop(self, timeout=60):
        """A clean stop: leadership moves first."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout * SLOW)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def tail(self, lines=15):
        with open(self.log_path, errors="replace") as f:
            return "".join(f.readlines()[-lines:])


class Cluster:
    """Started and answering when made; its files and its processes go with the scope.

    ns and address: where it listens, default the caller's loopback. settings: the brokers' own.
    listeners: {name: {setting: value}} of listeners beside the plain one, such as
    {"SSL": {...}}; a setting without a dot in front is the listener's own.
    """

    def __init__(self, scope, nodes=3, version="3.9.1", *, ns=None, address="127.0.0.1", settings=(),
                 listeners=(), heap="384m", name="kafka"):
        if not os.path.isdir(jars(version)):
            skip(f"Apache Kafka {version} is not in {jars(version)} (scripts/setup.sh test fetches it)")
        self.scope, self.version, self.ns, self.address, self.heap = scope, version, ns, address, heap
        self.dir = scope.path(f"{name}-{version}")
        os.makedirs(self.dir)
        self.listeners = {PLAIN: {}, **dict(listeners)}
        self._ports = {}
        self.nodes = [Node(self, n) for n in range(1, nodes + 1)]
        self._configure(dict(settings))
        self._format()
        for n in self.nodes:
            n.launch()
        for n in self.nodes:
            n.wait_answers(90)

    # ---- set-up ----

    def port_of(self, number, listener=PLAIN):
        # In a namespace of the test's own any port is free, and stays so while a node is down.
        if (number, listener) not in self._ports:
            self._ports[number, listener] = 9092 + 100 * number + len(self._ports) if self.ns else free_port()
        return self._ports[number, listener]

    def _configure(self, settings):
        voters = ",".join(f"{n.number}@{self.address}:{self.port_of(n.number, 'CONTROLLER')}" for n in self.nodes)
        # A listener's name is its security protocol; the broker then needs no map of its own.
        protocols = ",".join(f"{name}:{name}" for name in self.listeners) + ",CONTROLLER:PLAINTEXT"
        for n in self.nodes:
            mine = {name: f"{name}://{self.address}:{self.port_of(n.number, name)}" for name in self.listeners}
            own = {f"listener.name.{name.lower()}.{k}": v for name, kv in self.listeners.items() for k, v in kv.items()}
            n.write_config({**COMMON, **_replicas(len(self.nodes)), "node.id": n.number, "controller.quorum.voters": voters,
                            "listeners": ",".join([*mine.values(), f"CONTROLLER://{self.address}:"
                                                   f"{self.port_of(n.number, 'CONTROLLER')}"]),
                            "advertised.listeners": ",".join(mine.values()), "inter.broker.listener.name": PLAIN,
                            "listener.security.protocol.map": protocols, "log.dirs": os.path.join(n.dir, "log"),
                            **own, **settings})

    def _format(self):
        cluster_id = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=").replace("-", "A", 1)
        jobs = [subprocess.Popen(_argv(self.version, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c",
                                       n.config_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                for n in self.nodes]
        for job in jobs:
            out, _ = job.communicate(timeout=90 * SLOW)
            if job.returncode != 0:
                raise RuntimeError(f"StorageTool format ended with {job.returncode}: {out}")

    # ---- life ----

    def connects(self, port):
        """Does anybody accept there? Asked from where the cluster is."""
        if self.ns:
            pid = os.fork()
            if pid == 0:
                try:
                    enter(self.ns)
                    os._exit(0 if _connects(self.address, port) else 1)
                finally:
                    os._exit(1)
            return os.waitpid(pid, 0)[1] == 0
        return _connects(self.address, port)

    def node(self, number):
        return self.nodes[number - 1]

    def addresses(self, listener=PLAIN):
        return ",".join(f"{self.address}:{self.port_of(n.number, listener)}" for n in self.nodes)

    @property
    def bootstrap(self):
        return self.addresses()

    def say_faults(self):
        """The last lines of each node, for a test that failed."""
        for n in self.nodes:
            say(f"node {n.number}:\n{n.tail()}")


def _connects(address, port):
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


class Kafka(Cluster):
    """One node on the loopback, to hold a test's own expectations against."""

    def __init__(self, scope, version="3.9.1", settings=()):
        super().__init__(scope, 1, version, settings=settings, heap="512m")

# SPDX-License-Identifier: Apache-2.0
"""Which clients are here, what starts each, and why one that is not here is left out."""

import hashlib
import os
import shutil

from sltest.base import DEPS, SOURCE

CLIENTS = os.path.join(SOURCE, "tests/clients")
KAFKA_VERSIONS = ("3.9.1", "4.1.1")


def stale(name):
    """Why a thing that setup.sh makes cannot be used, or None: `made-from` names its sources."""
    made_from = os.path.join(DEPS, name, "made-from")
    try:
        with open(made_from) as f:
            lines = [line.split(None, 1) for line in f.read().splitlines()]
    except OSError:
        return f"no {name} in {DEPS}: scripts/setup.sh test fetches it, or said why it could not"
    for digest, path in lines:
        try:
            with open(os.path.join(CLIENTS, path), "rb") as f:
                same = hashlib.sha256(f.read()).hexdigest() == digest
        except OSError:
            same = False
        if not same:
            return f"{name} was made from another {path}: run scripts/setup.sh test"
    return None


def _python(script):
    return "venv", [os.path.join(DEPS, "venv/bin/python"), os.path.join(CLIENTS, "py", script)], {}


def _go(name):
    return "clients-go", [os.path.join(DEPS, "clients-go", name)], {}


def _node(script):
    return ("clients-node", [os.path.join(DEPS, "clients-node/node"), os.path.join(CLIENTS, "node", script)],
            {"SLT_NODE_MODULES": os.path.join(DEPS, "clients-node/node_modules")})


# name: (folder in build/deps, command without the bootstrap address, environment)
LIBRARIES = {
    "confluent-kafka": _python("confluent_driver.py"),
    "kafka-python": _python("kafka_python_driver.py"),
    "aiokafka": _python("aiokafka_driver.py"),
    "franz-go": _go("franz"),
    "sarama": _go("sarama"),
    "kafkajs": _node("kafkajs.mjs"),
    "platformatic": _node("platformatic.mjs"),
}


def missing(client):
    """Why this client's rows are skipped, or None."""
    if client == "kcat":
        return None if shutil.which("kcat") else "kcat is not installed"
    if client.startswith("tools-"):
        version = client.split("-", 1)[1]
        if not os.path.isdir(os.path.join(DEPS, f"kafka-{version}")):
            return f"no Apache Kafka {version} in {DEPS}: scripts/setup.sh test fetches it, or said why it could not"
        return stale("clients-java")
    return stale(LIBRARIES[client][0])


def tool_server_argv(version):
    return ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp",
            f"{DEPS}/clients-java:{DEPS}/kafka-{version}/*:{SOURCE}/tests/lib/kafka", "ToolServer"]

# SPDX-License-Identifier: Apache-2.0
"""mosquitto for one measurement: Debian's program with our own config, with the plugin or without, and
the load client."""

import os
import shutil
import socket
import subprocess
import time

from . import host, kafka

BINARY = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
CLIENTS, WINDOW = 20, 20
CLIENT_S = 60

# Limits off: a subscriber that is slower than the publishers must lose nothing.
_CONF = """listener {port} 127.0.0.1
allow_anonymous true
user root
persistence false
log_dest stderr
log_type error
log_type warning
max_inflight_messages 0
max_queued_messages 0
max_queued_bytes 0
"""


def plugin(ctx):
    path = os.path.join(ctx.build, "bridge", "mqtt", "mosquitto_sluice.so")
    if not os.path.exists(path):
        raise host.BenchError(f"{path} is not built")
    return path


class Mosquitto:
    """`with Mosquitto(...) as m`: a broker on a free port of the loopback."""

    def __init__(self, ctx, name, cpus, more=""):
        if not os.path.exists(BINARY):
            raise host.BenchError("mosquitto is missing (scripts/setup.sh run installs it)")
        self.port, self.cpus = kafka.free_port(), cpus
        self.conf, self.log = f"{ctx.work}/{name}.conf", f"{ctx.work}/{name}.log"
        self.text = _CONF.format(port=self.port) + more
        self.proc = None

    def __enter__(self):
        with open(self.conf, "w") as f:
            f.write(self.text)
        self.proc = host.Proc([BINARY, "-c", self.conf], self.log, cpus=self.cpus)
        try:
            self.proc.wait_for(self._answers, 10, "answering")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        self.proc.__exit__(*exc)

    def _answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False


def version():
    try:
        p = subprocess.run([BINARY, "-h"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return p.stdout.split("\n", 1)[0].replace("mosquitto version ", "")
    except OSError:
        return "missing"


def publish(ctx, broker, messages, qos, size, cpus):
    """mqtt_pub to its end: all were acknowledged. {"seconds", "began"}."""
    argv = [ctx.tools["mqtt_pub"], "127.0.0.1", broker.port, CLIENTS, messages, qos, size, WINDOW]
    try:
        return host.json_of(host.run(*host.placed(argv, cpus=cpus), timeout=CLIENT_S))
    except subprocess.TimeoutExpired:
        raise host.BenchError(f"mqtt_pub did not end within {CLIENT_S} s") from None


def into_log(ctx, broker, server, topic, messages, qos, size, cpus):
    """publish(), and the time until every message can be read from the topic. Messages/s."""
    before = sum(kafka.ends(server.port, topic))
    began = publish(ctx, broker, messages, qos, size, cpus)["began"]
    end = time.monotonic() + 20
    while True:
        stored = sum(kafka.ends(server.port, topic)) - before
        now = time.monotonic()
        if stored >= messages:
            break
        if now > end:
            raise host.BenchError(f"{stored} of {messages} messages of QoS {qos} are in {topic}")
        time.sleep(0.002)
    time.sleep(0.05)
    stored = sum(kafka.ends(server.port, topic)) - before
    if stored != messages:
        raise host.BenchError(f"{stored} records in {topic} for {messages} messages of QoS {qos}")
    return messages / (now - began)

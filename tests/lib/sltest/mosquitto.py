# SPDX-License-Identifier: Apache-2.0
"""A real mosquitto with the plugin, and publishers that write down each acknowledgement."""

import os
import socket

from .base import BUILD, free_port, skip, wait_for
from .kafka import need_venv, venv_argv

MOSQUITTO = "/usr/sbin/mosquitto"
PLUGIN = os.path.join(BUILD, "bridge/mqtt/mosquitto_sluice.so")


class Mosquitto:
    """Answering when made. sluiced: the path of its mqtt.socket, None for a broker without the plugin."""

    def __init__(self, scope, sluiced, name="mosquitto", lines=(), options=()):
        if not os.path.exists(MOSQUITTO):
            skip("mosquitto is not installed")
        if sluiced and not os.path.exists(PLUGIN):
            skip(f"the plugin is not built: {PLUGIN}")
        self.scope, self.port = scope, free_port()
        self.config_path, self.log_path = scope.path(f"{name}.conf"), scope.path(f"{name}.log")
        config = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", "user root", "persistence false",
                  "log_dest stderr", "max_inflight_messages 0", *lines]
        if sluiced:
            config += [f"plugin {PLUGIN}", f"plugin_opt_socket {sluiced}", *(f"plugin_opt_{o}" for o in options)]
        with open(self.config_path, "w") as f:
            f.write("\n".join(config) + "\n")
        self.process = None
        self.start()

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = self.scope.popen([MOSQUITTO, "-c", self.config_path], stdout=log, stderr=log)
        wait_for("mosquitto to answer", self.answers)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """In order: with persistence, it keeps what it has."""
        self.process.terminate()
        self.process.wait(20)

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"mosquitto ended with {self.process.returncode}: {self.tail()}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False

    def log_text(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def tail(self, lines=15):
        return "".join(self.log_text().splitlines(keepends=True)[-lines:])


def start_publishers(scope, broker, answers, *, publishers=10, rate=200, topic="factory/{p}/state", qos="1,2", version=4):
    """paho publishers until SIGTERM (tests/clients/mqtt_load.py); returns the process."""
    need_venv()
    return scope.popen(venv_argv("mqtt_load.py", broker.port, publishers, rate, topic, qos, version, answers))

# SPDX-License-Identifier: Apache-2.0
"""One sluiced under test: its config, its life, and what it says about itself."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from .base import BUILD, SANITIZED, SLOW, Timeout, end_process, free_port, say, wait_for

SLUICED = os.path.join(BUILD, "platform/app/sluiced")
SLUICE = os.path.join(BUILD, "platform/cli/sluice")
_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./:%-]*")


def _scalar(v):
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, (int, float)):
        return str(v)
    return v if _PLAIN.fullmatch(v) and not v.endswith(":") else "'" + v.replace("'", "''") + "'"


def to_yaml(node, indent=0):
    """Block-style YAML of dicts, lists and scalars; what an operator would write by hand."""
    pad, lines = "  " * indent, []
    if isinstance(node, dict):
        for key, v in node.items():
            if isinstance(v, (dict, list)) and v:
                lines += [f"{pad}{key}:", to_yaml(v, indent + 1)]
            else:
                lines.append(f"{pad}{key}: {_scalar(v) if not isinstance(v, (dict, list)) else '[]'}")
    else:
        for v in node:
            text = to_yaml(v, indent + 1) if isinstance(v, (dict, list)) else f"{pad}  {_scalar(v)}"
            lines.append(f"{pad}- {text[len(pad) + 2:]}")
    return "\n".join(lines)


class Daemon:
    """Its data lies in <dir>/data, its stripes on tmpfs; both go with the scope."""

    def __init__(self, scope, name="gw", *, ports, listeners, topics, data=None, storage=None,
                 dataplane=None, kafka_config=None, extra=None):
        self.scope, self.name = scope, name
        self.dir = scope.path(name)
        os.makedirs(self.dir)
        self.data = data or os.path.join(self.dir, "data")
        self.log_path = os.path.join(self.dir, "sluiced.log")
        self.config_path = os.path.join(self.dir, "sluice.yaml")
        self.socket = os.path.join(self.dir, "control.sock")
        self.kafka_port, self.admin_port = free_port(), free_port()
        self.stripes = f"/dev/shm/slt-{os.getpid()}-{name}"
        os.makedirs(self.stripes, exist_ok=True)
        scope.undo(_remove_tree, self.stripes)
        self.process = None
        scope.tell_if_failed(self.last_words)
        self.config = {
            "gateway": {"id": f"test-{name}", "data": self.data},
            "dataplane": {"memory": "128MiB", "hugepages": "off", **(dataplane or {})},
            "storage": {"segment": "64MiB", "tail_cache": "64MiB", "stripes": self.stripes, **(storage or {})},
            "ports": ports,
            "listeners": listeners,
            "topics": topics,
            "kafka": {"listen": [f"127.0.0.1:{self.kafka_port}"], "config": kafka_config or {}},
            "admin": {"listen": f"127.0.0.1:{self.admin_port}", "socket": self.socket},
            **(extra or {}),
        }
        for key in ("ports", "listeners", "topics"):
            if not self.config[key]:
                del self.config[key]
        if not self.config["kafka"]["config"]:
            del self.config["kafka"]["config"]
        self.write_config()

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.kafka_port}"

    @property
    def log_dir(self):
        return os.path.join(self.data, "log")

    def write_config(self):
        with open(self.config_path, "w") as f:
            f.write(to_yaml(self.config) + "\n")

    # ---- life ----

    def start(self, timeout=20.0):
        """Starts and waits until it is ready; returns the seconds from exec to ready."""
        began = time.monotonic()
        self.launch()
        wait_for(f"{self.name} to be ready", self.ready_or_dead, timeout, step=0.01)
        if not self.ready():
            raise Timeout(f"{self.name} ended with {self.process.poll()} before it was ready:\n{self.tail()}")
        return time.monotonic() - began

    def launch(self):
        env = dict(os.environ)
        if SANITIZED:
            env["ASAN_OPTIONS"] = "exitcode=99:abort_on_error=0:detect_leaks=1:detect_stack_use_after_return=0"
            env["UBSAN_OPTIONS"] = "halt_on_error=1:print_stacktrace=1:exitcode=99"
            lsan = os.path.join(os.path.dirname(__file__), "../lsan.supp")
            env["LSAN_OPTIONS"] = f"suppressions={os.path.realpath(lsan)}:print_suppressions=0"
        with open(self.log_path, "ab") as log:
            self.process = self.scope.popen([SLUICED, "-c", self.config_path], stdout=log, stderr=log, env=env)
        return self.process

    def ready_or_dead(self):
        return self.process.poll() is not None or self.ready()

    def ready(self):
        return self.http("/readyz")[0] == 200

    def stop(self, timeout=15.0):
        """SIGTERM; returns (exit code, seconds it took)."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Timeout(f"{self.name} did not stop within {timeout * SLOW:.0f} s of SIGTERM:\n{self.tail()}")
        return code, time.monotonic() - began

    def kill(self):
        """kill -9 of this very process."""
        self.process.kill()
        self.process.wait()

    def end(self):
        if self.process:
            end_process(self.process)

    # ---- what it says ----

    def tail(self, lines=25):
        try:
            with open(self.log_path, errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except OSError as e:
            return str(e)

    def last_words(self):
        code = self.process.poll() if self.process else "not started"
        return f"{self.name}: {'runs' if code is None else f'ended with {code}'}; its log ends:\n{self.tail()}"

    def log_text(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def http(self, path, timeout=2.0):
        """(status, body) of the admin port; (0, reason) if nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}{path}", timeout=timeout * SLOW) as r:
                return r.status, r.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
        except (OSError, urllib.error.URLError) as e:
            return 0, str(e)

    def ask(self, cmd):
        """One request over the control socket: a JSON line each way."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(10 * SLOW)
            s.connect(self.socket)
            s.sendall(json.dumps({"cmd": cmd}).encode() + b"\n")
            got = b""
            while not got.endswith(b"\n"):
                piece = s.recv(1 << 16)
                if not piece:
                    break
                got += piece
        return json.loads(got)

    def status(self):
        return self.ask("status")

    def ledger(self):
        return self.status()["ledger"]

    def cli(self, *args, timeout=20):
        return self.scope.run([SLUICE, *args], timeout=timeout, check=False)

    def ends(self, topic):
        """{partition: log end} of a topic."""
        for t in self.status()["topics"]:
            if t["name"] == topic:
                return {p["id"]: p["end"] for p in t["partitions"]}
        return {}

    def records(self, topic):
        return sum(self.ends(topic).values())

    def wait_records(self, topic, count, timeout=30.0):
        wait_for(f"{count} records in {topic}", lambda: self.records(topic) >= count, timeout)

    def wait_settled(self, timeout=20.0):
        """Until the ledger closes with nothing in flight; returns it."""
        def settled():
            led = self.ledger()
            return led if led["difference"] == 0 and led["in_flight"] == 0 else None
        return wait_for("the ledger to close", settled, timeout)

    # ---- what the system says about it ----

    def rss_kb(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            for line in f:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        return 0

    def cpu_seconds(self):
        """CPU time of all its threads, to the nanosecond."""
        total, tasks = 0, f"/proc/{self.process.pid}/task"
        for tid in os.listdir(tasks):
            with open(f"{tasks}/{tid}/schedstat") as f:
                total += int(f.read().split()[0])
        return total / 1e9


def _remove_tree(path):
    import shutil
    shutil.rmtree(path, ignore_errors=True)


def listener(name, port, protocol, topic, udp, **kw):
    return {"name": name, "port": port, "udp": udp, "protocol": protocol, "topic": topic, **kw}


def topic(name, partitions, **config):
    """Topic config keys come as retention_ms -> retention.ms."""
    t = {"name": name, "partitions": partitions}
    if config:
        t["config"] = {k.replace("_", "."): v for k, v in config.items()}
    return t


def show_ledger(led):
    """The ledger's buckets that are not zero, on one line."""
    parts = []
    for k, v in led.items():
        if isinstance(v, dict):
            parts += [f"{k}[{r}]={n}" for r, n in v.items() if n]
        elif v:
            parts.append(f"{k}={v}")
    say("ledger: " + " ".join(parts))

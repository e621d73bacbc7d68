# SPDX-License-Identifier: Apache-2.0
"""Processes that answer a line of JSON with a line of JSON: the drivers and the tool server."""

import json
import os
import select
import subprocess
import threading
import time

from sltest.base import SLOW, end_process

from .report import Lacking


class Answered(Exception):
    """The driver said that it did not work; the text is the client's own."""


class LineProcess:
    """One at a time; a process that does not answer in time is ended and made anew."""

    def __init__(self, scope, argv, env, log_path):
        self.scope, self.argv, self.env, self.log_path = scope, argv, {**os.environ, **env}, log_path
        self.process, self.rest, self.lock = None, b"", threading.Lock()

    def start(self):
        if self.process and self.process.poll() is None:
            return
        self.rest = b""
        with open(self.log_path, "ab") as log:
            self.process = self.scope.popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                            env=self.env)

    def send(self, request):
        self.start()
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()

    def receive(self, timeout):
        end = time.monotonic() + timeout * SLOW
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            ready = select.select([self.process.stdout], [], [], max(left, 0))[0]
            piece = os.read(self.process.stdout.fileno(), 1 << 20) if ready else b""
            if not piece:
                code = self.process.poll()
                self.end()
                raise TimeoutError(f"no answer within {timeout * SLOW:.0f} s" if not ready else
                                   f"ended with {code} before it answered: {self.log_tail()}")
            self.rest += piece
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)

    def ask(self, request, timeout):
        with self.lock:
            self.send(request)
            return self.receive(timeout)

    def log_tail(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()[-300:]

    def end(self):
        if self.process:
            self.process.kill()
            end_process(self.process)
            self.process = None


class Driver(LineProcess):
    """One client library behind the driver contract."""

    def __init__(self, scope, name, argv, env, bootstrap):
        super().__init__(scope, [*argv, bootstrap], env, scope.path(f"driver-{name}.log"))
        self.name = name

    def do(self, what, timeout=45, **kw):
        """The driver's answer; Lacking if the library has no such thing, Answered if it failed."""
        a = self.ask({"do": what, **kw}, timeout)
        if "lacking" in a:
            raise Lacking(a["lacking"])
        if not a["ok"]:
            raise Answered(a["error"])
        return a

    def offsets(self, what, **kw):
        """The answer's map of partitions to offsets, its keys made numbers again."""
        return {int(p): o for p, o in self.do(what, **kw)["offsets"].items()}

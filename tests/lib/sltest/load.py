# SPDX-License-Identifier: Apache-2.0
"""Load and its check: slt_send from inside a namespace, slt_verify behind consumers."""

import json
import os
import struct
import subprocess

from .base import BUILD, SLOW, end_process
from .kafka import need_venv, venv_argv
from .netns import GW4, GW6

SEND = os.path.join(BUILD, "tests/lib/slt_send")
VERIFY = os.path.join(BUILD, "tests/lib/slt_verify")
HEAD = 64  # counters in the head of slt_verify's state file


class Sender:
    """slt_send under way; args are its options without the dashes."""

    def __init__(self, scope, pair, port, sources=None, lines=(), **options):
        sources = sources or pair.sources
        argv = [SEND, "--netns", pair.dev_ns, "--to", GW4, "--to6", GW6, "--port", str(port),
                "--src", ",".join(sources)]
        for path in lines:
            argv += ["--lines", path]
        for k, v in options.items():
            argv += [f"--{k}", str(v)]
        self.process = scope.popen(argv, stdout=subprocess.PIPE, text=True)
        self.result = None

    def wait(self, timeout=120):
        """Waits for its end; returns how many datagrams left the sockets."""
        out, _ = self.process.communicate(timeout=timeout * SLOW)
        if self.process.returncode != 0:
            raise RuntimeError(f"slt_send ended with {self.process.returncode}")
        self.result = json.loads(out)
        return self.result["sent"]

    def stop(self):
        self.process.terminate()
        return self.wait()


class Reader:
    """A consumer reading along, whose output slt_verify checks as it comes."""

    FIELDS = ("records", "unique", "duplicates", "bad", "gaps", "beyond", "highest", "done")

    def __init__(self, scope, name, argv, numbers):
        self.name, self.numbers = name, numbers
        self.state = scope.path(f"{name}.state")
        self.errors = open(scope.path(f"{name}.err"), "w+b")
        scope.undo(self.errors.close)
        self.consumer = scope.popen(argv, stdout=subprocess.PIPE, stderr=self.errors)
        self.verify = scope.popen([VERIFY, self.state, str(numbers)], stdin=self.consumer.stdout)
        self.consumer.stdout.close()
        self.consumer.stdout = None

    def counts(self):
        try:
            with open(self.state, "rb") as f:
                head = f.read(HEAD * 8)
        except OSError:
            head = b""
        if len(head) < HEAD * 8:
            return dict.fromkeys(self.FIELDS, 0)
        return dict(zip(self.FIELDS, struct.unpack_from(f"{len(self.FIELDS)}Q", head)))

    def finish(self):
        """Ends the consumer, lets slt_verify see the end; returns the final counts."""
        end_process(self.consumer)
        self.verify.wait(30 * SLOW)
        return self.counts()

    def bitmap(self):
        with open(self.state, "rb") as f:
            f.seek(HEAD * 8)
            return f.read()

    def error_text(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")[-2000:]


def kcat_reader(scope, daemon, topic, numbers, name="kcat"):
    return Reader(scope, name, ["kcat", "-b", daemon.bootstrap, "-q", "-C", "-t", topic, "-o", "beginning",
                                "-X", "fetch.wait.max.ms=50", "-f", r"%p %o %s\n"], numbers)


def confluent_reader(scope, daemon, topic, numbers, name="confluent"):
    need_venv()
    return Reader(scope, name, venv_argv("consumer_pipe.py", daemon.bootstrap, topic), numbers)


def parse_numbered(value):
    """The number of a slt_payload.h message, or None; the hash is checked."""
    mark = value.find(b" s=", 0, 96)
    if mark < 0 or value[mark + 13:mark + 16] != b" h=":
        return None
    at = mark + 16
    h = 0xcbf29ce484222325
    for b in value[:at] + value[at + 16:]:
        h = (h ^ b) * 0x100000001b3 & 0xffffffffffffffff
    if b"%016x" % h != value[at:at + 16]:
        return None
    return int(value[mark + 3:mark + 13])

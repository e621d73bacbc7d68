# SPDX-License-Identifier: Apache-2.0
"""Real Kafka parts: Apache Kafka's own tools as Java classes, kcat, and Python clients in a venv."""

import os
import re
import subprocess

from .base import DEPS, SLOW, SOURCE, skip

KAFKA_VERSION = os.environ.get("SLT_KAFKA_VERSION", "3.9.1")
JARS = os.path.join(DEPS, f"kafka-{KAFKA_VERSION}")
VENV_PYTHON = os.path.join(DEPS, "venv/bin/python")
CLIENTS = os.path.join(SOURCE, "tests/clients")
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
ACKS = ("0", "1", "all")

# 4.x moved the console producer; the others kept their names.
CONSOLE_PRODUCER = ("kafka.tools.ConsoleProducer" if KAFKA_VERSION.startswith("3.")
                    else "org.apache.kafka.tools.ConsoleProducer")
CONSOLE_CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"
PERF_PRODUCER = "org.apache.kafka.tools.ProducerPerformance"
GET_OFFSETS = "org.apache.kafka.tools.GetOffsetShell"
DUMP_LOG = "kafka.tools.DumpLogSegments"

COMPLAINTS = ("Mismatches in", "Found timestamp mismatch", "Found out of order timestamp",
              "indexed offsets are not found", "invalid bytes at the end", "isvalid: false",
              "Exception", "Error:", "has no matching", "non-consecutive", "Could not", "WARN", "ERROR")


def need_jars():
    if not os.path.isdir(JARS):
        skip(f"Apache Kafka {KAFKA_VERSION} is not in {JARS} (scripts/setup.sh test fetches it)")


def need_venv():
    if not os.path.exists(VENV_PYTHON):
        skip(f"no Python clients in {VENV_PYTHON} (scripts/setup.sh test fetches them)")


def java_argv(cls, *args, heap="256m"):
    return ["java", f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
            "-cp", f"{JARS}/*:{SOURCE}/tests/lib/kafka", cls, *map(str, args)]


def java(scope, cls, *args, stdin=None, timeout=60, check=True, heap="256m"):
    """Runs one of Kafka's classes to its end; stdin is bytes or None."""
    r = subprocess.run(java_argv(cls, *args, heap=heap), input=stdin or b"", stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=timeout * SLOW)
    if check and r.returncode != 0:
        raise RuntimeError(f"{cls} {args}: exit {r.returncode}\n{r.stdout.decode(errors='replace')[-2000:]}\n"
                           f"{r.stderr.decode(errors='replace')[-2000:]}")
    return r


def venv_argv(script, *args):
    return [VENV_PYTHON, os.path.join(CLIENTS, script), *map(str, args)]


def log_files(log_dir):
    """Every segment and index below a log directory, with the ones that must exist beside each."""
    out = []
    for part in sorted(os.listdir(log_dir)):
        folder = os.path.join(log_dir, part)
        if os.path.isdir(folder):
            out += sorted(os.path.join(folder, f) for f in os.listdir(folder)
                          if re.fullmatch(r"\d{20}\.(log|index|timeindex)", f))
    return out


class DumpResult:
    def __init__(self):
        self.files = self.batches = self.records = 0
        self.complaints = []

    def take(self, path, text):
        self.batches += len(re.findall(r"isvalid: true", text))
        self.records += len(re.findall(r"^\| offset: ", text, re.M))
        for line in text.splitlines():
            if any(c in line for c in COMPLAINTS):
                self.complaints.append(f"{path}: {line.strip()[:300]}")


def _dump(files, flags, result, count):
    r = java(None, DUMP_LOG, *flags, "--files", ",".join(files), timeout=300, check=False, heap="1g")
    text = r.stdout.decode(errors="replace")
    if r.returncode != 0:
        result.complaints.append(f"exit code {r.returncode}: {text[-500:]}")
    fresh = DumpResult()
    fresh.take("stdout", text)
    # The tool ends with 0 whatever it finds, and says some of it on stderr only.
    for line in r.stderr.decode(errors="replace").splitlines():
        if line.strip():
            fresh.complaints.append(f"stderr: {line.strip()[:300]}")
    result.complaints += fresh.complaints
    if count:
        result.batches += fresh.batches
        result.records += fresh.records
    if text.count("Dumping ") != len(files):
        result.complaints.append(f"dumped {text.count('Dumping ')} of {len(files)} files")
    return text


def dump_check(log_dir, per_call=200):
    """Kafka's dump tool over every file: --deep-iteration, then the index sanity check.

    Returns a DumpResult; .complaints is empty if the tool had none on stdout or stderr.
    """
    files = log_files(log_dir)
    result = DumpResult()
    result.files = len(files)
    for i in range(0, len(files), per_call):
        _dump(files[i:i + per_call], ["--deep-iteration"], result, count=True)
    # A segment without a batch beyond the first interval has an empty index: nothing to check.
    indexes = [f for f in files if not f.endswith(".log") and os.path.getsize(f) > 0]
    for i in range(0, len(indexes), per_call):
        text = _dump(indexes[i:i + per_call], ["--index-sanity-check"], result, count=False)
        passed = text.count("passed sanity check")
        if passed != len(indexes[i:i + per_call]):
            result.complaints.append(f"{passed} of {len(indexes[i:i + per_call])} indexes passed the sanity check")
    return result


def kcat(scope, daemon, *args, stdin=None, timeout=60, check=True):
    r = subprocess.run(["kcat", "-b", daemon.bootstrap, *map(str, args)], input=stdin or b"",
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout * SLOW)
    if check and r.returncode != 0:
        raise RuntimeError(f"kcat {args}: exit {r.returncode}\n{r.stderr.decode(errors='replace')}")
    return r

# SPDX-License-Identifier: Apache-2.0
"""kcat with the interface of a Driver: one process a call."""

import base64
import hashlib
import json
import os
import re
import subprocess
import time

from sltest.base import SLOW, end_process, wait_for

from .proc import Answered
from .records import Record, canonical
from .report import Lacking

QUIET = ["-X", "log_level=3"]
# Text lines around sized fields: what is in key and value cannot be mistaken for the frame.
FORMAT = r"%p %o %T %K %S %h\n%k%s\n"


def _run(argv, timeout=30, stdin=None):
    r = subprocess.run(argv, input=stdin or b"", stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout * SLOW)
    if r.returncode != 0:
        raise Answered(r.stderr.decode(errors="replace").strip() or f"exit {r.returncode}")
    return r.stdout


def parse(data):
    """The records of FORMAT; a header shows as name=value, null as NULL."""
    at, out = 0, []
    while at < len(data):
        end = data.index(b"\n", at)
        p, o, t, klen, vlen, *headers = data[at:end].split(b" ", 5)
        at = end + 1
        key, at = (None, at) if int(klen) < 0 else (data[at:at + int(klen)], at + int(klen))
        value, at = (None, at) if int(vlen) < 0 else (data[at:at + int(vlen)], at + int(vlen))
        at += 1
        pairs = [h.partition(b"=") for h in headers[0].split(b",") if h] if headers else []
        out.append(Record(int(p), int(o), int(t), key, value,
                          [(n.decode(), None if v == b"NULL" else v) for n, _, v in pairs]))
    return out


class Kcat:
    name = "kcat"

    def __init__(self, scope, bootstrap):
        self.scope, self.bootstrap, self.argv = scope, bootstrap, ["kcat", "-b", bootstrap, *QUIET]

    def do(self, what, timeout=45, **kw):
        call = getattr(self, "do_" + what, None)
        if not call:
            raise Lacking("not in this client")
        return call(kw) or {}

    def offsets(self, what, **kw):
        return self.do(what, **kw)["offsets"]

    def end(self):
        pass

    def do_hello(self, _):
        text = subprocess.run(["kcat", "-V"], stdout=subprocess.PIPE, text=True).stdout
        v = re.search(r"Version (\S+) .*librdkafka ([\d.]+)", text, re.S)
        return {"client": "kcat", "version": f"{v[1]} (librdkafka {v[2]})" if v else text.strip(), "cooperative": False,
                "static": True, "timestamps": False, "binary_keys": False,
                "records_without_acks": False}

    def _ends(self, topic):
        parts = self.do_describe({"topic": topic})["partitions"]
        return sum(self._query(topic, dict.fromkeys(range(parts), -1))["offsets"].values())

    @staticmethod
    def _arguments(r):
        """What of a record are arguments of a run."""
        argv = [] if r["k"] is None else ["-k", os.fsdecode(base64.b64decode(r["k"]))]
        for n, v in r["h"]:
            argv += ["-H", n if v is None else f"{n}={base64.b64decode(v).decode()}"]
        return argv + (["-Z"] if r["v"] is None else [])

    def _produce_without_acks(self, argv, topic, files):
        """Records that differ in their values, by one process that is kept until they are in the
        log: if it goes before the broker has read everything, some are lost and nobody is told.
        What keeps it is one file more, a pipe that nobody writes."""
        want, pipe = self._ends(topic) + len(files), files[0] + ".pipe"
        os.mkfifo(pipe)
        p = self.scope.popen([*argv, *files, pipe], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(f"{want} records", lambda: self._ends(topic) >= want, 10)
        finally:
            p.kill()
            end_process(p)
            os.unlink(pipe)

    def do_produce(self, req):
        """A process per record, since key and headers are arguments of a run; a file is one message."""
        argv = [*self.argv, "-P", "-t", req["topic"], "-z", req["codec"], "-X", f"acks={req['acks']}",
                "-X", f"enable.idempotence={str(req.get('idempotent', False)).lower()}",
                "-X", "message.max.bytes=16777216", "-X", "message.timeout.ms=20000"]
        with open(req["file"]) as f:
            rows = [json.loads(line) for line in f]
        files = [f"{req['file']}.{i}" for i in range(len(rows))]
        for path, r in zip(files, rows):
            with open(path, "wb") as out:
                out.write(base64.b64decode(r["v"] or ""))
        if req["acks"] == "0":
            self._produce_without_acks(argv + self._arguments(rows[0]), req["topic"], files)
            return {"sent": len(rows)}
        for path, r in zip(files, rows):
            if r["v"]:
                _run(argv + self._arguments(r) + [path])
            else:  # an empty file is no message; a line that is key and delimiter is one
                _run(argv + self._arguments({**r, "k": None}) + ["-K", "|"], stdin=base64.b64decode(r["k"] or "") + b"|\n")
        return {"sent": len(rows)}

    def _ends(self, topic):
        parts = self.do_describe({"topic": topic})["partitions"]
        return sum(self._query(topic, dict.fromkeys(range(parts), -1))["offsets"].values())

    def do_consume(self, req):
        parts = {}
        for p, begin in req["from"].items():
            records, count = [], req["to"][p] - begin
            if count:
                records = parse(_run([*self.argv, "-C", "-q", "-t", req["topic"], "-p", str(p), "-o", str(begin),
                                      "-c", str(count), "-f", FORMAT]))
            h = hashlib.sha256()
            for r in records:
                h.update(canonical(r))
            parts[p] = {"count": len(records), "sha256": h.hexdigest()}
        return {"partitions": parts}

    def _query(self, topic, at):
        argv = [*self.argv, "-Q"]
        for p, t in at.items():
            argv += ["-t", f"{topic}:{p}:{t}"]
        found = re.findall(r"\[(\d+)\] offset (-?\d+)", _run(argv).decode())
        return {"offsets": {int(p): int(o) for p, o in found}}

    def do_offsets(self, req):
        if req["at"] == "max":
            raise Lacking("no lookup of the highest timestamp")
        return self._query(req["topic"], dict.fromkeys(req["partitions"], {"earliest": -2, "latest": -1}[req["at"]]))

    def do_times(self, req):
        return self._query(req["topic"], req["ts"]) | {"none_is_end": True}

    def do_describe(self, req):
        d = json.loads(_run([*self.argv, "-L", "-J", "-t", req["topic"]]))
        return {"partitions": len(d["topics"][0]["partitions"])}

    def do_group(self, req):
        if req["strategy"] == "cooperative":
            raise Lacking("its rebalance callback knows the eager protocol only")
        members = [_Member(self, req, i) for i in range(req["members"])]
        begin = {int(p): o for p, o in req.get("from", {}).items()}
        wanted = sum(max(o - begin.get(int(p), 0), 0) for p, o in req["ends"].items())
        end, seen = time.monotonic() + req.get("timeout", 40) * SLOW, set()
        try:
            while time.monotonic() < end:
                seen = set().union(*(m.records() for m in members))
                if len(seen) >= wanted and all(m.assigned() for m in members):
                    break
                if any(m.process.poll() is not None for m in members):
                    raise Answered("; ".join(m.error_text()[-200:] for m in members))
                time.sleep(0.05)
            else:
                raise Answered(f"{len(seen)} of {wanted} records, assigned {[m.assigned() for m in members]}")
            assigned = [m.assigned() for m in members]
        finally:
            for m in members:
                m.end()
        return {"members": assigned, "records": sorted(seen)}


class _Member:
    def __init__(self, kcat, req, index):
        self.topic = req["topic"]
        self.base = kcat.scope.path(f"kcat-{req['group']}-{index}-{time.monotonic_ns()}")
        argv = [*kcat.argv, "-G", req["group"], "-u", "-f", r"%p %o\n", "-X", "auto.offset.reset=earliest",
                "-X", "session.timeout.ms=10000", "-X", "heartbeat.interval.ms=500", "-X", "fetch.wait.max.ms=100",
                "-X", "partition.assignment.strategy=range"]
        if req.get("instances"):
            argv += ["-X", f"group.instance.id={req['instances'][index]}"]
        with open(self.base + ".out", "wb") as out, open(self.base + ".err", "wb") as err:
            self.process = kcat.scope.popen([*argv, req["topic"]], stdout=out, stderr=err)

    def records(self):
        with open(self.base + ".out", "rb") as f:
            data = f.read()
        return {tuple(map(int, line.split())) for line in data[:data.rfind(b"\n") + 1].splitlines()}

    def error_text(self):
        with open(self.base + ".err", errors="replace") as f:
            return f.read()

    def assigned(self):
        last = re.findall(r"(assigned|revoked): *(.*)", self.error_text())
        if not last or last[-1][0] == "revoked":
            return []
        return sorted(int(p) for p in re.findall(re.escape(self.topic) + r" \[(\d+)\]", last[-1][1]))

    def end(self):
        end_process(self.process)

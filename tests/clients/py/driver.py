# SPDX-License-Identifier: Apache-2.0
"""The driver contract (tests/clients/README.md) for clients that are Python libraries."""

import base64
import hashlib
import json
import struct
import sys
import threading
import time
import traceback
from collections import namedtuple

Record = namedtuple("Record", "partition offset timestamp key value headers")


class Lacking(Exception):
    """The client library has no such thing."""


def _bytes(text):
    return None if text is None else base64.b64decode(text)


def _text(data):
    return None if data is None else base64.b64encode(data).decode()


def read_records(path):
    """What to produce: (key, value, headers, timestamp or None) a line."""
    with open(path) as f:
        for line in f:
            r = json.loads(line)
            yield _bytes(r["k"]), _bytes(r["v"]), [(n, _bytes(v)) for n, v in r["h"]], r["t"]


def _sized(data):
    return struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data


def canonical(r):
    """The bytes of a record that every driver hashes alike."""
    head = struct.pack(">qq", r.offset, r.timestamp) + _sized(r.key) + _sized(r.value)
    return head + struct.pack(">i", len(r.headers)) + b"".join(_sized(n.encode()) + _sized(v) for n, v in r.headers)


class Taker:
    """Takes records of partitions [from, to) as they come; done when each partition is at its end."""

    def __init__(self, req):
        self.begin = {int(p): o for p, o in req["from"].items()}
        self.end = {int(p): o for p, o in req["to"].items()}
        self.left = {p for p in self.begin if self.begin[p] < self.end[p]}
        self.count = dict.fromkeys(self.begin, 0)
        self.hash = {p: hashlib.sha256() for p in self.begin}
        self.file = open(req["file"], "w") if req.get("file") else None

    def take(self, r):
        if r.offset < self.begin[r.partition] or r.offset >= self.end[r.partition]:
            return
        self.count[r.partition] += 1
        self.hash[r.partition].update(canonical(r))
        if self.file:
            json.dump({"p": r.partition, "o": r.offset, "t": r.timestamp, "k": _text(r.key), "v": _text(r.value),
                       "h": [(n, _text(v)) for n, v in r.headers]}, self.file)
            self.file.write("\n")
        if r.offset + 1 >= self.end[r.partition]:
            self.left.discard(r.partition)

    def result(self):
        if self.file:
            self.file.close()
        if self.left:
            raise TimeoutError(f"partitions {sorted(self.left)} did not come to their end: {self.count}")
        return {"partitions": {p: {"count": self.count[p], "sha256": self.hash[p].hexdigest()} for p in self.count}}


class Progress:
    """What the members of a group have read and committed between them, and when they may end."""

    def __init__(self, req):
        begin = req.get("from", {})
        self.ends = {int(p): o for p, o in req["ends"].items() if o > begin.get(p, 0)}
        self.limit = time.monotonic() + req.get("timeout", 40)
        self.seen, self.committed = set(), {}
        self.assigned = [set() for _ in range(req["members"])]
        self.pending = [{} for _ in range(req["members"])]
        self.last_error, self.done = None, None

    def took(self, index, records, assigned):
        """Takes the (partition, offset) of one poll; returns what this member is to commit."""
        self.seen.update(records)
        self.assigned[index] = assigned
        mine = {**self.pending[index], **{p: o + 1 for p, o in sorted(records)}}
        self.pending[index] = {p: o for p, o in mine.items() if p in assigned}
        return self.pending[index]

    def commit_done(self, index):
        self.committed.update(self.pending[index])
        self.pending[index] = {}

    def commit_failed(self, e):
        """A rebalance is the usual reason; what stays uncommitted is committed or read again."""
        self.last_error = e

    def complete(self):
        """Once true it stays: the first member to see it leaves, and the others get its partitions."""
        if not self.done and self._complete():
            self.done = {"members": [sorted(a) for a in self.assigned], "records": sorted(self.seen)}
        return bool(self.done)

    def _complete(self):
        shared = all(self.assigned) and sum(map(len, self.assigned)) == len(set().union(*self.assigned))
        return shared and all(self.committed.get(p, 0) >= o for p, o in self.ends.items())

    def finished(self):
        return time.monotonic() > self.limit or self.complete()

    def result(self):
        if not self.complete():
            raise TimeoutError(f"assigned {self.assigned}, committed {self.committed} of {self.ends}, "
                               f"last error of a commit: {self.last_error}")
        return self.done


def _live(progress, req, open_member, index, errors):
    try:
        member = open_member(req, index)
        try:
            while not progress.finished() and not errors:
                records = member.poll()
                positions = progress.took(index, records, member.assigned())
                if not positions:
                    continue
                try:
                    member.commit(positions)
                    progress.commit_done(index)
                except member.rebalancing as e:
                    progress.commit_failed(e)
        finally:
            member.close()
    except Exception as e:
        traceback.print_exc()
        errors.append(e)


def run_group(req, open_member):
    """Members, a thread each, until each has a partition and the group has committed the ends.

    open_member(req, index) has poll, assigned, commit, close and the exceptions `rebalancing`.
    """
    progress, errors = Progress(req), []
    threads = [threading.Thread(target=_live, args=(progress, req, open_member, i, errors))
               for i in range(req["members"])]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
    return progress.result()


def serve(handlers):
    """One JSON request a line of stdin, one JSON answer a line of stdout; anything else on stderr."""
    out = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        req = json.loads(line)
        handler = handlers.get(req["do"])
        try:
            if not handler:
                raise Lacking("not in this client")
            answer = {"ok": True, **(handler(req) or {})}
        except Lacking as e:
            answer = {"ok": False, "lacking": str(e)}
        except Exception as e:
            traceback.print_exc()
            answer = {"ok": False, "error": f"{type(e).__name__}: {e}"}
        out.write(json.dumps(answer) + "\n")
        out.flush()

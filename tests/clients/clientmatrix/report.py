# SPDX-License-Identifier: Apache-2.0
"""Rows of the matrix: one per client and feature, printed as they come, and a digest at the end."""

import json
import threading
import time

PASS, FAIL, SKIP, LACKING = "PASS", "FAIL", "SKIP", "n.a."


class Lacking(Exception):
    """The client has no such thing."""


class Mismatch(Exception):
    """What the client did is not what an independent look finds."""


def expect(ok, text):
    if not ok:
        raise Mismatch(text)


class Report:
    def __init__(self):
        self.rows, self.lock = [], threading.Lock()
        self.versions = {}

    def add(self, client, feature, status, detail="", seconds=0.0):
        detail = " ".join(str(detail).split())
        with self.lock:
            self.rows.append((client, feature, status, detail))
            print(f"{status:<5} {client:<16} {feature:<34} {seconds:5.2f} s  {detail[:600]}".rstrip(), flush=True)

    def run(self, client, feature, check, *args):
        """Runs one check, which returns a detail, and makes its row; returns whether it passed."""
        began = time.monotonic()
        try:
            self.add(client, feature, PASS, check(*args) or "", time.monotonic() - began)
            return True
        except Lacking as e:
            self.add(client, feature, LACKING, e, time.monotonic() - began)
        except Exception as e:
            self.add(client, feature, FAIL, f"{type(e).__name__}: {e}", time.monotonic() - began)
        return False

    def skip(self, client, reason):
        self.add(client, "all", SKIP, reason)

    def counts(self):
        return {s: sum(r[2] == s for r in self.rows) for s in (PASS, FAIL, SKIP, LACKING)}

    def digest(self):
        """Tables of features by clients, as Markdown: one for libraries, one for Kafka's own tools."""
        clients = sorted({r[0] for r in self.rows})
        tools = [c for c in clients if c.startswith("tools-")]
        return "\n\n".join(self._table(c) for c in ([c for c in clients if c not in tools], tools) if c)

    def _table(self, clients):
        features = list(dict.fromkeys(r[1] for r in self.rows if r[0] in clients and r[1] != "all"))
        cells = {(r[0], r[1]): r[2] for r in self.rows}
        mark = {PASS: "yes", FAIL: "**FAIL**", LACKING: "–", None: ""}
        out = ["| feature | " + " | ".join(f"{c} {self.versions.get(c, '')}".strip() for c in clients) + " |",
               "|---" * (len(clients) + 1) + "|"]
        for f in features:
            row = [mark[cells.get((c, f))] if cells.get((c, "all")) != SKIP else "skipped" for c in clients]
            out.append(f"| {f} | " + " | ".join(row) + " |")
        return "\n".join(out)

    def save(self, path):
        with open(path, "w") as f:
            json.dump({"versions": self.versions, "rows": self.rows}, f, indent=1)

# SPDX-License-Identifier: Apache-2.0
"""The rows of kafka-consumer-groups, all its verbs; a part of Tools (tools.py)."""

import datetime
import re
import time

from .report import expect


class GroupTools:
    """What it uses of Tools: tool(), row(), ref, bench, group, topic, version, _ends(), _everything()."""

    def _groups(self):
        self.row("consumer-groups --list", self.list_groups)
        self.row("consumer-groups --describe", self.describe_group)
        self.row("consumer-groups --describe, a live group", self.describe_live)
        for form in self.resets():
            name = " ".join(map(str, form[:1] + tuple(form[1] if form[0] == "--shift-by" else ())))
            self.row(f"consumer-groups --reset-offsets {name}", self.reset, *form)
        self.row("consumer-groups --reset-offsets --export, --from-file", self.reset_from_file)
        self.row("consumer-groups --delete-offsets", self.delete_offsets)
        self.row("consumer-groups --delete", self.delete_group)
        self.row("consumer-groups --delete, a live group", self.delete_live)

    def groups(self, *args, **kw):
        return self.tool("ConsumerGroupCommand", *args, **kw)

    def list_groups(self):
        names = self.groups("--list")["out"].split()
        expect(self.group in names and self.bench.live_group in names, f"{names}")
        states = self.groups("--list", "--state")["out"]
        expect(re.search(rf"{re.escape(self.bench.live_group)} +(\S+ +)?Stable", states), states)
        only = self.groups("--list", "--state", "Empty")["out"]
        expect(self.group in only and self.bench.live_group not in only, only)
        return f"{len(names)} groups"

    def describe_group(self):
        ends = self._ends()
        rows = self._table(self.groups("--describe", "--group", self.group, "--offsets", "--verbose")["out"])
        got = {int(r["PARTITION"]): (r["CURRENT-OFFSET"], r["LOG-END-OFFSET"], r["LAG"]) for r in rows}
        expect(got == {p: (str(o), str(o), "0") for p, o in ends.items() if p in got} and got, f"{got}, ends {ends}")
        state = self._table(self.groups("--describe", "--group", self.group, "--state")["out"])
        expect("Empty" in state[0].values(), f"{state}")

    def describe_live(self):
        for verbose in ((), ("--verbose",)):
            out = self.groups("--describe", "--group", self.bench.live_group, "--members", *verbose)["out"]
            expect(len(re.findall(rf"^{re.escape(self.bench.live_group)} ", out, re.M)) == 2, out)
        out = self.groups("--describe", "--group", self.bench.live_group, "--state", "--verbose")["out"]
        expect("Stable" in out and re.search(r"\b2\s*$", out.strip()), out)
        out = self.groups("--describe", "--all-groups", "--state")["out"]
        expect(self.group in out and self.bench.live_group in out, out)
        out = self.groups("--describe", "--group", self.bench.live_group, "--offsets")["out"]
        expect(len(re.findall(rf"^{re.escape(self.bench.live_group)} ", out, re.M)) == 4, out)

    @staticmethod
    def _table(text):
        """Rows of a table with a header line, as dicts; columns are words."""
        lines = [line.split() for line in text.splitlines() if line.strip()]
        head = next(i for i, line in enumerate(lines) if line[0] == "GROUP")
        return [dict(zip(lines[head], line)) for line in lines[head + 1:]]

    def _reset_result(self, text):
        """3.9 prints several rows on a line: every "group topic partition offset" counts."""
        found = re.findall(rf"{re.escape(self.group)} +{re.escape(self.topic)} +(\d+) +(\d+)", text)
        return {int(p): int(o) for p, o in found}

    def resets(self):
        """(words, what it must set as a function of (begin, ends, current), by partition)"""
        def to(n):
            return lambda s: {p: min(max(n, s["begin"][p]), s["ends"][p]) for p in s["ends"]}

        def by_time(ms):
            def offsets(s):
                got = {}
                for p, end in s["ends"].items():
                    got[p] = min((r.offset for r in s["records"] if r.partition == p and r.timestamp >= ms()), default=end)
                return got
            return offsets
        now = time.time()
        iso = datetime.datetime.utcfromtimestamp(now).strftime("%Y-%m-%dT%H:%M:%S.000")
        return [("--to-earliest", [], lambda s: s["begin"]), ("--to-latest", [], lambda s: s["ends"]),
                ("--to-offset", [3], to(3)), ("--to-current", [], lambda s: s["current"]),
                ("--shift-by", [2], lambda s: {p: min(s["current"][p] + 2, s["ends"][p]) for p in s["ends"]}),
                ("--shift-by", [-1], lambda s: {p: max(s["current"][p] - 1, s["begin"][p]) for p in s["ends"]}),
                ("--to-datetime", [iso], by_time(lambda: int(now) * 1000)),
                ("--by-duration", ["PT0H30M"], lambda s: s["begin"])]

    def _state(self):
        current = self.ref.offsets("committed", group=self.group, topic=self.topic)
        ends = self._ends()
        return {"begin": self._ends(at="earliest"), "ends": ends, "records": self._everything(self.topic),
                "current": {p: current.get(p, 0) for p in ends}}

    def reset(self, words, values, want_of):
        before = self._state()
        want = want_of(before)
        base = ["--reset-offsets", "--group", self.group, "--topic", self.topic, words, *values]
        dry = self._reset_result(self.groups(*base, "--dry-run")["out"])
        expect(dry == want, f"dry run {dry}, not {want}")
        after = self.ref.offsets("committed", group=self.group, topic=self.topic)
        expect({p: after.get(p, 0) for p in want} == before["current"], f"the dry run changed {before['current']} to {after}")
        done = self._reset_result(self.groups(*base, "--execute")["out"])
        expect(done == want, f"executed {done}, not {want}")
        got = self.ref.offsets("committed", group=self.group, topic=self.topic)
        expect(got == want, f"committed {got}, not {want}")
        return f"{list(want.values())}"

    def reset_from_file(self):
        path = self.bench.path(f"reset-{self.version}.csv")
        out = self.groups("--reset-offsets", "--group", self.group, "--topic", self.topic, "--to-offset", 1, "--export",
                          "--dry-run")["out"]
        with open(path, "w") as f:
            f.write("\n".join(line for line in out.splitlines() if self.topic in line) + "\n")
        self.groups("--reset-offsets", "--group", self.group, "--from-file", path, "--execute")
        got = self.ref.offsets("committed", group=self.group, topic=self.topic)
        want = {p: min(1, o) for p, o in self._ends().items()}
        expect(got == want, f"committed {got}, not {want}")

    def delete_offsets(self):
        out = self.groups("--delete-offsets", "--group", self.group, "--topic", f"{self.topic}:0")["out"]
        expect("Successful" in out, out)
        got = self.ref.offsets("committed", group=self.group, topic=self.topic)
        expect(0 not in got and 1 in got, f"committed {got}")

    def delete_group(self):
        out = self.groups("--delete", "--group", self.group)["out"]
        expect("successful" in out, out)
        expect(self.group not in self.ref.do("groups")["groups"], "it is still listed")

    def delete_live(self):
        a = self.groups("--delete", "--group", self.bench.live_group, ok=False)
        expect("not empty" in a["out"] + a["err"], f"{a}")
        expect(self.bench.live_group in self.ref.do("groups")["groups"], "it is gone")

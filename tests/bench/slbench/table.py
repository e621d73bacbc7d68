# SPDX-License-Identifier: Apache-2.0
"""Rows of the result: medians of interleaved runs, their ratio, the goal, and how they are shown."""

import json
import os
from statistics import median

_OPS = {"<=": lambda r, g: r <= g, ">=": lambda r, g: r >= g}


def _round(v):
    return None if v is None else float(f"{v:.4g}")


class Row:
    """One figure beside one baseline. Runs are appended as they come; ratio = value / baseline."""

    def __init__(self, id, name, unit, baseline, goal, of="ratio"):
        """goal: ("<=", number) or None; of: what it is held against, "ratio" or "value"."""
        self.id, self.name, self.unit, self.baseline = id, name, unit, baseline
        self.goal, self.of = goal, of
        self.values, self.base = [], []
        self.notes, self.extra, self.failed = [], {}, None
        self.noisy = False  # a ratio taken beside other work is shown, not judged
        self.also = True  # what else the goal asks for, beside the number

    def add(self, value, base=None):
        self.values.append(value)
        if base is not None:
            self.base.append(base)

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def cannot(self, why):
        self.failed = why
        return self

    def result(self):
        value = median(self.values) if self.values and not self.failed else None
        base = median(self.base) if self.base else None
        ratio = value / base if value is not None and base else None
        held = ratio if self.of == "ratio" else value
        goal = f"{self.of} {self.goal[0]} {self.goal[1]:.3g}" if self.goal else None
        ok = None
        if self.goal and held is not None and not self.noisy:
            ok = _OPS[self.goal[0]](held, self.goal[1]) and self.also
        notes = ([f"not measured: {self.failed}"] if self.failed else []) + self.notes
        return {
            "id": self.id, "name": self.name, "value": _round(value), "unit": self.unit,
            "baseline": self.baseline, "baseline_value": _round(base), "ratio": _round(ratio),
            "goal": goal, "pass": ok, "noisy": self.noisy,
            "runs": {"value": [_round(v) for v in self.values], "baseline": [_round(v) for v in self.base]},
            "spread": {"value": spread(self.values), "baseline": spread(self.base)},
            "note": "; ".join(notes), "notes": notes, **self.extra,
        }


def spread(values):
    """(max - min) / median of the runs, or None."""
    if len(values) < 2 or not median(values):
        return None
    return round((max(values) - min(values)) / median(values), 3)


def _num(v):
    if v is None:
        return "-"
    if abs(v) >= 1e6:
        return f"{v / 1e6:.3g} M"
    if abs(v) >= 1e4:
        return f"{v / 1e3:.4g} k"
    return f"{v:.4g}"


def _pct(v):
    return "-" if v is None else f"{v * 100:.0f} %"


def render(results):
    head = ("#", "id", "what", "value", "±", "unit", "beside", "value", "±", "ratio", "goal", "")
    rows = [head]
    for n, r in enumerate(results, 1):
        verdict = {True: "ok", False: "below", None: "n/a" if r["value"] is None else "noisy" if r["noisy"] else ""}
        rows.append((str(n), r["id"], r["name"], _num(r["value"]), _pct(r["spread"]["value"]), r["unit"],
                     r["baseline"] or "-", _num(r["baseline_value"]), _pct(r["spread"]["baseline"]),
                     _num(r["ratio"]), r["goal"] or "-", verdict[r["pass"]]))
    width = [max(len(x[i]) for x in rows) for i in range(len(head))]
    right = {0, 3, 4, 7, 8, 9}
    out = []
    for n, x in enumerate(rows):
        out.append("  ".join(c.rjust(w) if i in right else c.ljust(w)
                             for i, (c, w) in enumerate(zip(x, width))).rstrip())
        if n == 0:
            out.append("  ".join("-" * w for w in width))
    return "\n".join(out + _notes(results))


def _notes(results):
    """Each remark once, with the numbers of the rows that it is about."""
    about = {}
    for n, r in enumerate(results, 1):
        for note in r["notes"]:
            about.setdefault(note, []).append(str(n))
    out = [f"{'all' if len(rows) == len(results) > 1 else ', '.join(rows)}: {note}" for note, rows in about.items()]
    return ["", *out] if out else []


def write(path, results):
    tmp = path + ".tmp"
    with open(tmp, "w") as f:
        json.dump(results, f, indent=1)
        f.write("\n")
    os.replace(tmp, path)

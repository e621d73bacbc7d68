# SPDX-License-Identifier: Apache-2.0
"""The differences that are allowed: a table of a page in docs/, so that nobody has to keep two."""

import fnmatch
import os

from sltest.base import SOURCE

PAGE = "docs/decisions/0043-kafka-differences.md"
HEADING = "## Hostile frames"


class Row:
    def __init__(self, pattern, kafka, here, why):
        self.pattern, self.kafka, self.here, self.why = pattern, kafka, here, why
        self.seen = 0

    def covers(self, name, kafka, here):
        return fnmatch.fnmatchcase(name, self.pattern) and (self.kafka, self.here) == (kafka, here)


def read():
    """The rows of the first table behind the heading."""
    rows, inside = [], False
    with open(os.path.join(SOURCE, PAGE), encoding="utf-8") as f:
        for line in f:
            if line.startswith("## "):
                inside = line.strip() == HEADING
            cells = [c.strip().strip("`") for c in line.strip().strip("|").split("|")]
            if inside and line.startswith("|") and len(cells) == 4 and cells[0] != "frame" and set(cells[0]) != {"-"}:
                rows.append(Row(*cells))
    return rows

# SPDX-License-Identifier: Apache-2.0
"""Prometheus' text format (0.0.4), read strictly: what a scraper would take but a linter would not
is an error too. Written from the format's description."""

import re

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_HELP = re.compile(rf"# HELP ({_NAME}) (\S.*)")
_TYPE = re.compile(rf"# TYPE ({_NAME}) (counter|gauge)")
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,(?!$)|$)')
_VALUE = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


class Malformed(Exception):
    pass


def _labels(text, line):
    out, at = {}, 0
    while at < len(text):
        m = _LABEL.match(text, at)
        if not m or m[1] in out:
            raise Malformed(f"labels: {line}")
        out[m[1]] = re.sub(r"\\(.)", lambda e: {"n": "\n"}.get(e[1], e[1]), m[2])
        at = m.end()
    return tuple(sorted(out.items()))


def parse(text):
    """{family: {labels, sorted pairs: value}}; every family once, HELP and TYPE before its samples."""
    families, types, family, helped = {}, {}, None, None
    if not text.endswith("\n"):
        raise Malformed("no newline at the end")
    for line in text.splitlines():
        if m := _HELP.fullmatch(line):
            if m[1] in families:
                raise Malformed(f"a second family {m[1]}")
            if helped:
                raise Malformed(f"HELP of {helped} without TYPE")
            helped = m[1]
        elif m := _TYPE.fullmatch(line):
            if m[1] != helped:
                raise Malformed(f"TYPE without its HELP: {line}")
            family, helped = m[1], None
            families[family], types[family] = {}, m[2]
            if (m[2] == "counter") != family.endswith("_total"):
                raise Malformed(f"{family} is a {m[2]}")
        elif m := _SAMPLE.fullmatch(line):
            if helped or m[1] != family:
                raise Malformed(f"a sample outside its family: {line}")
            labels = _labels(m[2] or "", line)
            if labels in families[family] or not _VALUE.fullmatch(m[3]):
                raise Malformed(f"twice, or no number: {line}")
            value = float(m[3]) if re.search("[.eE]", m[3]) else int(m[3])
            if types[family] == "counter" and value < 0:
                raise Malformed(f"a counter below 0: {line}")
            families[family][labels] = value
        else:
            raise Malformed(f"neither comment nor sample: {line!r}")
    if helped:
        raise Malformed(f"HELP of {helped} without TYPE")
    return families


def value(families, name, **labels):
    """One sample; KeyError if there is none."""
    return families[name][tuple(sorted(labels.items()))]

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden files of the config checks, through the real `sluice check`.

    run.py SLUICE [--update] [CASE...]

A case is cases/NAME.yaml, or cases/NAME/sluice.yaml with a conf.d beside it; cases/NAME.err holds
what must stand on stderr. Without a line `# exit: N` the exit code must be 2. Lines
`# env: NAME=VALUE` set the environment. --update writes the .err files: read the diff.
"""

import argparse
import difflib
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = os.path.join(HERE, "cases")


def cases():
    names = set()
    for entry in os.listdir(CASES):
        if os.path.isdir(os.path.join(CASES, entry)):
            names.add(entry)
        elif entry.endswith(".yaml"):
            names.add(entry[:-5])
    return sorted(names)


def settings(path):
    """Exit code and environment that the case's comments ask for."""
    code, env = 2, {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
        if name in os.environ:
            env[name] = os.environ[name]
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            if m := re.match(r"# exit: (\d+)", line):
                code = int(m[1])
            elif m := re.match(r"# env: (\w+)=(.*)", line):
                env[m[1]] = m[2]
    return code, env


def normal(text):
    """What depends on the machine: which CPUs it has."""
    return re.sub(r"\(usable: [0-9,-]+\)", "(usable: CPUS)", text)


def check(sluice, name, update):
    file = f"{name}.yaml" if os.path.exists(os.path.join(CASES, f"{name}.yaml")) else f"{name}/sluice.yaml"
    want_code, env = settings(os.path.join(CASES, file))
    r = subprocess.run([sluice, "check", file], cwd=CASES, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=60)
    got = normal(r.stderr.decode(errors="backslashreplace"))
    golden = os.path.join(CASES, f"{name}.err")
    if update:
        with open(golden, "w") as f:
            f.write(got)
    with open(golden) as f:
        want = f.read()
    problems = []
    if r.returncode != want_code:
        problems.append(f"exit code {r.returncode}, not {want_code}")
    if got != want:
        problems += difflib.unified_diff(want.splitlines(), got.splitlines(), "wanted", "got", lineterm="")
    if (want_code == 0) != (r.stdout.decode().startswith(f"{file}: ok")):
        problems.append(f"stdout: {r.stdout!r}")
    return problems


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("sluice")
    p.add_argument("--update", action="store_true")
    p.add_argument("case", nargs="*")
    args = p.parse_args()
    failed = 0
    names = args.case or cases()
    for name in names:
        problems = check(os.path.abspath(args.sluice), name, args.update)
        failed += bool(problems)
        for line in problems:
            print(f"{name}: {line}")
    print(f"{len(names)} cases, {failed} failed")
    return 1 if failed or not names else 0


if __name__ == "__main__":
    sys.exit(main())

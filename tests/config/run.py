#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden files of the config checks, through the real `sluice check` and the real `sluiced -c`.

    run.py SLUICE [--sluiced SLUICED] [--update] [CASE...]

A case is cases/NAME.yaml, or cases/NAME/sluice.yaml with a conf.d beside it; cases/NAME.err holds
what must stand on stderr. Without a line `# exit: N` the exit code must be 2. Lines
`# env: NAME=VALUE` set the environment. --update writes the .err files: read the diff.

A case of exit code 2 must end the daemon in the same way, with the same sentences, before it has
made anything: no data directory is there that was not there before.
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


def case(name):
    """(file, exit code, environment, golden stderr or "")"""
    file = f"{name}.yaml" if os.path.exists(os.path.join(CASES, f"{name}.yaml")) else f"{name}/sluice.yaml"
    golden = os.path.join(CASES, f"{name}.err")
    want = ""
    if os.path.exists(golden):
        with open(golden) as f:
            want = f.read()
    return (file, *settings(os.path.join(CASES, file)), want)


def data_paths(file):
    """Absolute data directories that a case names, in its file or in conf.d; and the default one."""
    found, folder = {"/var/lib/sluice"}, os.path.join(CASES, os.path.dirname(file), "conf.d")
    files = [os.path.join(CASES, file)]
    if os.path.dirname(file) and os.path.isdir(folder):
        files += [os.path.join(folder, f) for f in os.listdir(folder)]
    for path in files:
        with open(path, encoding="utf-8", errors="replace") as f:
            found.update(re.findall(r"\bdata:\s*[\"']?(/[^\s,}\"']+)", f.read()))
    return found


def refuse(sluiced, name):
    """The daemon with a case of exit code 2: problems found."""
    file, want_code, env, want = case(name)
    if want_code != 2:
        return []
    absent = {p for p in data_paths(file) if not os.path.lexists(p)}
    try:
        r = subprocess.run([sluiced, "-c", file], cwd=CASES, env=env, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    except subprocess.TimeoutExpired:
        return ["sluiced -c runs with it"]
    problems = [f"sluiced -c made {p}" for p in absent if os.path.lexists(p)]
    if r.returncode != 2:
        problems.append(f"sluiced -c: exit code {r.returncode}, not 2")
    got = normal(r.stderr.decode(errors="backslashreplace"))
    if got != want:
        problems += difflib.unified_diff(want.splitlines(), got.splitlines(), "sluice check", "sluiced -c", lineterm="")
    if r.stdout:
        problems.append(f"sluiced -c: stdout: {r.stdout!r}")
    return problems


def check(sluice, name, update):
    file, want_code, env, want = case(name)
    r = subprocess.run([sluice, "check", file], cwd=CASES, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=60)
    got = normal(r.stderr.decode(errors="backslashreplace"))
    if update:
        with open(os.path.join(CASES, f"{name}.err"), "w") as f:
            f.write(got)
        want = got
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
    p.add_argument("--sluiced")
    p.add_argument("--update", action="store_true")
    p.add_argument("case", nargs="*")
    args = p.parse_args()
    failed = 0
    names = args.case or cases()
    for name in names:
        problems = check(os.path.abspath(args.sluice), name, args.update)
        if args.sluiced:
            problems += refuse(os.path.abspath(args.sluiced), name)
        failed += bool(problems)
        for line in problems:
            print(f"{name}: {line}")
    print(f"{len(names)} cases, {failed} failed")
    return 1 if failed or not names else 0


if __name__ == "__main__":
    sys.exit(main())

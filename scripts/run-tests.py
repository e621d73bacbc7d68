#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the whole suite in its order and closes with one line: N passed, N failed, N skipped.

    run-tests.py [--quick] [--only STAGE[,STAGE]] [--build DIR]

Stages: gcc (build and every suite), asan (ASan+UBSan build, every suite at a tenth of the rate),
clang (build with warnings as errors, unit suite), style (who includes whom, clang-format).
--quick: what needs no root, no namespaces and no downloads: gcc's unit and fuzz suites, style.
Unit and fuzz suites run side by side, the rest one test at a time. Exit 1 if anything failed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
PARALLEL = ("unit", "fuzz")
SERIAL = ("net", "storage", "kafka", "mqtt", "uplink", "crash", "lab")
BAD = ("FAIL", "ERROR", "TIMEOUT", "INTERRUPT", "UNEXPECTEDPASS")


class Tally:
    def __init__(self):
        self.passed = self.failed = 0
        self.skipped, self.parts, self.broken, self.slow = [], [], [], []

    def add(self, ok, name):
        if ok:
            self.passed += 1
        else:
            self.failed += 1
            self.broken.append(name)


def say(text):
    print(f"\n== {text}", flush=True)


def run(argv, env=None):
    print("+ " + " ".join(argv), flush=True)
    return subprocess.run(argv, cwd=ROOT, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL).returncode


def configure(build, options, env=None):
    if os.path.exists(os.path.join(build, "build.ninja")):
        return 0
    return run(["meson", "setup", build, *options], env)


def reason_of(stdout):
    for line in stdout.splitlines():
        if line.startswith("skipped:"):
            return line[len("skipped:"):].strip()
    return "no reason printed"


def parts_of(stdout):
    """What a test that ran left out, as it says in its own lines."""
    return [line.split("skipped part:", 1)[1].strip() for line in stdout.splitlines() if "skipped part:" in line]


def take_log(build, base, stage, tally):
    """Adds up meson's own log of one call; returns how many tests stand in it."""
    path = os.path.join(build, "meson-logs", base + ".json")
    count = 0
    if not os.path.exists(path):
        return 0
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            t = json.loads(line)
            name, result = f"{stage}: {t['name']}", t["result"]
            count += 1
            if result == "SKIP":
                tally.skipped.append((name, reason_of(t.get("stdout", ""))))
            else:
                tally.add(result not in BAD, f"{name} ({result})")
                tally.parts += [(name, part) for part in parts_of(t.get("stdout", ""))]
            tally.slow.append((t.get("duration", 0.0), name))
    return count


def suites(build, stage, names, workers, tally, env):
    base = f"{stage}-{'-'.join(names)}"
    path = os.path.join(build, "meson-logs", base + ".json")
    if os.path.exists(path):
        os.unlink(path)
    argv = ["meson", "test", "-C", build, "--no-rebuild", "--print-errorlogs", "--logbase", base,
            "--num-processes", str(workers)]
    for n in names:
        argv += ["--suite", n]
    code = run(argv, env)
    count = take_log(build, base, stage, tally)
    failed_here = any(b.startswith(f"{stage}: ") for b in tally.broken)
    if code != 0 and not failed_here:
        tally.add(False, f"{stage}: meson test {' '.join(names)} ended with {code}")
    return count


def build_and_test(stage, build, options, serial, tally, env_build=None, env_test=None):
    say(f"{stage}: build")
    if configure(build, options, env_build) != 0 or run(["meson", "compile", "-C", build], env_build) != 0:
        tally.add(False, f"{stage}: build")
        return
    tally.add(True, f"{stage}: build")
    env = {"SLT_DEPS": os.path.join(ROOT, "build/deps"), **(env_test or {})}
    say(f"{stage}: {', '.join(PARALLEL)}")
    if suites(build, stage, PARALLEL, os.cpu_count() or 2, tally, env) == 0:
        tally.add(False, f"{stage}: no unit test ran")
    if serial:
        say(f"{stage}: {', '.join(serial)}")
        suites(build, stage, serial, 1, tally, env)


def check_format(tally):
    tool = shutil.which("clang-format")
    if not tool:
        tally.skipped.append(("style: clang-format", "clang-format is not installed"))
        return
    files = []
    for folder, dirs, names in os.walk(ROOT):
        dirs[:] = [d for d in dirs if not d.startswith((".", "build")) and d != "deps"]
        files += [os.path.relpath(os.path.join(folder, n), ROOT) for n in names if n.endswith((".c", ".h"))]
    code = run_quiet([tool, "--dry-run", "--Werror", *sorted(files)])
    tally.add(code == 0, "style: clang-format")


def run_quiet(argv):
    r = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if r.returncode != 0:
        print("\n".join(r.stdout.splitlines()[:40]), flush=True)
    return r.returncode


def style(tally):
    say("style")
    tally.add(run([sys.executable, "scripts/check-includes.py"]) == 0, "style: who includes whom")
    check_format(tally)


def main():
    ap = argparse.ArgumentParser(description="runs the whole suite")
    ap.add_argument("--quick", action="store_true")
    ap.add_argument("--only", default="gcc,asan,clang,style")
    ap.add_argument("--build", default="build")
    args = ap.parse_args()
    stages = ["gcc", "style"] if args.quick else args.only.split(",")
    unknown = set(stages) - {"gcc", "asan", "clang", "style"}
    if unknown:
        ap.error(f"unknown stage: {', '.join(sorted(unknown))}")
    serial = () if args.quick else SERIAL
    tally, began = Tally(), time.monotonic()
    if "style" in stages:
        style(tally)
    if "gcc" in stages:
        build_and_test("gcc", args.build, [], serial, tally)
    if "clang" in stages:
        build_and_test("clang", os.path.join(args.build, "clang"), [], (), tally, env_build={"CC": "clang"})
    if "asan" in stages:
        build_and_test("asan", os.path.join(args.build, "asan"),
                       ["-Db_sanitize=address,undefined", "-Db_lundef=false"], serial, tally,
                       env_test={"SLT_RATE_DIV": os.environ.get("SLT_RATE_DIV", "10"), "SLT_SANITIZED": "1"})

    say(f"summary after {time.monotonic() - began:.0f} s; the slowest:")
    for seconds, name in sorted(tally.slow, reverse=True)[:8]:
        print(f"{seconds:8.1f} s  {name}")
    if tally.skipped:
        print("\nskipped:")
        for name, reason in tally.skipped:
            print(f"  {name}: {reason}")
    if tally.parts:
        print("\nleft out in part:")
        for name, part in tally.parts:
            print(f"  {name}: {part}")
    if tally.broken:
        print("\nfailed:")
        for name in tally.broken:
            print(f"  {name}")
    print(f"\n{tally.passed} passed, {tally.failed} failed, {len(tally.skipped)} skipped", flush=True)
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""The client matrix: unmodified clients against a live gateway, a row per client and feature.

matrix.py [--against gateway|kafka|HOST:PORT] [--kafka-version V] [--only CLIENT,...] [--table FILE] [--json FILE]

The gateway is a real daemon in a namespace; one topic is fed by UDP while the clients work. Against
Apache Kafka the same checks tell whether they are right about what a broker does. Exit 1 if a row
says FAIL; a client that is not here is a row SKIP with the reason.
"""

import argparse
import os
import sys
import threading
import time
import traceback

from sltest import RATE_DIV, Checks, Scope, need_root, say, skip
from sltest.kafka import need_venv

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from clientmatrix import deps, targets  # noqa: E402
from clientmatrix.bench import Bench  # noqa: E402
from clientmatrix.kcat import Kcat  # noqa: E402
from clientmatrix.library import Library  # noqa: E402
from clientmatrix.report import FAIL, Report  # noqa: E402
from clientmatrix.tools import Tools  # noqa: E402

CLIENTS = ("tools-3.9.1", "tools-4.1.1", *deps.LIBRARIES, "kcat")
WORKERS = 2


def run_client(bench, client):
    reason = deps.missing(client)
    if reason:
        bench.report.skip(client, reason)
        return
    reference = bench.driver("kafka-python" if client == "confluent-kafka" else "confluent-kafka", f"ref-{client}")
    try:
        if client.startswith("tools-"):
            Tools(bench, client, reference).run()
            return
        driver = Kcat(bench.scope, bench.bootstrap) if client == "kcat" else bench.driver(client)
        try:
            Library(bench, driver, reference).run()
        finally:
            driver.end()
    except Exception as e:
        traceback.print_exc()
        bench.report.add(client, "all", FAIL, f"the checks broke off: {type(e).__name__}: {e}")
    finally:
        reference.end()


def run_all(bench, clients):
    """Two clients at a time, one a core; longest first."""
    todo, lock = list(clients), threading.Lock()

    def work():
        while True:
            with lock:
                if not todo:
                    return
                client = todo.pop(0)
            began = time.monotonic()
            run_client(bench, client)
            say(f"{client}: {time.monotonic() - began:.0f} s")
    threads = [threading.Thread(target=work) for _ in range(WORKERS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def conclude(report, args):
    say("the matrix")
    print(report.digest(), flush=True)
    if args.table:
        with open(args.table, "w") as f:
            f.write(report.digest() + "\n")
    if args.json:
        report.save(args.json)
    c = report.counts()
    say(f"rows: {c['PASS']} PASS, {c['FAIL']} FAIL, {c['SKIP']} SKIP, {c['n.a.']} not in the client")
    for client, feature, status, detail in report.rows:
        if status == FAIL:
            say(f"FAIL  {client}: {feature}: {detail[:300]}")
        elif status == "SKIP":
            print(f"skipped part: {client}: {detail}", flush=True)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--against", default="gateway")
    ap.add_argument("--kafka-version", default="3.9.1")
    ap.add_argument("--only", default="")
    ap.add_argument("--table")
    ap.add_argument("--json")
    args = ap.parse_args()
    clients = args.only.split(",") if args.only else CLIENTS
    need_venv()
    if deps.stale("venv"):
        skip(deps.stale("venv"))
    if args.against == "gateway":
        need_root()
    seed = int(os.environ.get("SLT_SEED") or int.from_bytes(os.urandom(4), "big"))
    say(f"seed {seed}")
    check, report = Checks(), Report()
    with Scope("matrix") as scope:
        with targets.open_target(scope, args.against, args.kafka_version, 400 // RATE_DIV) as target:
            bench = Bench(scope, report, target.bootstrap, seed, target.udp_topic, target.udp_partitions)
            bench.prepare()
            run_all(bench, clients)
            target.conclude(check, bench.beside_udp)
        conclude(report, args)
    check.equal(report.counts()[FAIL], 0, "rows that FAIL")
    check.that(report.counts()["PASS"] > 0, "some rows PASS")
    check.finish()


if __name__ == "__main__":
    main()

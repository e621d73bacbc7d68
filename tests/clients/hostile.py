# SPDX-License-Identifier: Apache-2.0
"""The same hostile frames to the gateway and to a real Apache Kafka.

Each frame goes to both, on a connection of its own; what comes of it (the error codes of the
answer, a closed connection, silence) must be the same, or be a row of the table "Hostile frames"
of docs/decisions/0043-kafka-differences.md; a row that nothing matches any more is a failure, too.
After each frame a good client produces and fetches on both, and at the end real clients do.

    hostile.py [name pattern]     only the frames whose name matches
"""

import concurrent.futures
import fnmatch
import subprocess
import sys
import time

from hostileframes import admin, differences, groups, produce, protocol
from hostileframes.run import good_client, outcome, prepare
from sltest import SLOW, Checks, Scope, say, wait_for
from sltest.broker import Kafka
from sltest.daemon import Daemon
from sltest.kafka import VENV_PYTHON, need_jars, need_venv

REQUEST_MAX = 8 << 20
MEMORY = 128 << 20
RSS_SLACK = 224 << 20  # pools, the tail cache, workers' scratch, code
MORE_TIME = 60         # what a sanitizer needs beyond the rest

CONFLUENT = """
import sys
from confluent_kafka import Consumer, Producer, TopicPartition
p = Producer({"bootstrap.servers": sys.argv[1]})
got = []
p.produce("hostile", b"at the end", on_delivery=lambda e, m: got.append((e, m.offset())))
assert p.flush(30) == 0 and got[0][0] is None, got
c = Consumer({"bootstrap.servers": sys.argv[1], "group.id": "h-end"})
c.assign([TopicPartition("hostile", 0, got[0][1])])
m = c.poll(30)
assert m is not None and m.value() == b"at the end", m
"""


def cases():
    for part in (protocol.everything(REQUEST_MAX), produce.everything(), groups.everything(), admin.everything()):
        yield from part


def start(scope):
    settings = {"socket.request.max.bytes": REQUEST_MAX}
    kafka = Kafka(scope, settings=settings)
    gw = Daemon(scope, ports=[], listeners=[], topics=[], kafka_config=settings)
    gw.config["kafka"]["memory"] = f"{MEMORY >> 20}MiB"
    gw.write_config()
    gw.start()
    brokers = {"kafka": kafka.bootstrap, "here": gw.bootstrap}
    for name, bootstrap in brokers.items():
        wait_for(f"{name} to be warm", lambda b=bootstrap: prepare(b), 60, step=0.3)
    return gw, brokers


def compare(check, pool, brokers, case, rows):
    """One row; True if all is well."""
    got = dict(zip(brokers, pool.map(lambda b: outcome(b, case), brokers.values())))
    ill = {n: w for n, w in zip(brokers, pool.map(good_client, brokers.values())) if w}
    row = next((r for r in rows if r.covers(case.name, got["kafka"], got["here"])), None)
    if row:
        row.seen += 1
    verdict = "same" if got["kafka"] == got["here"] else "listed" if row else "DIFFERS"
    if any("undecodable" in text for text in got.values()):
        verdict = "UNREADABLE"
    print(f"{case.name[:66]:<66}  {got['kafka']:<16}  {got['here']:<16}  {verdict}", flush=True)
    for name, why in ill.items():
        check.that(False, f"after '{case.name}' a good client works on {name}: {why}")
    return verdict in ("same", "listed") and not ill


def real_clients(check, brokers):
    for name, bootstrap in brokers.items():
        r = subprocess.run(["kcat", "-b", bootstrap, "-P", "-t", "hostile"], input=b"by kcat\n", timeout=60 * SLOW,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        check.equal(r.returncode, 0, f"kcat produces to {name} {r.stderr.decode()[-200:]}")
        r = subprocess.run(["kcat", "-b", bootstrap, "-C", "-t", "hostile", "-o", "-1", "-c", "1"], timeout=60 * SLOW,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        check.equal(r.stdout, b"by kcat\n", f"kcat consumes from {name}")
        r = subprocess.run([VENV_PYTHON, "-c", CONFLUENT, bootstrap], timeout=90 * SLOW, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE)
        check.equal(r.returncode, 0, f"confluent-kafka with {name} {r.stderr.decode()[-300:]}")


def main():
    need_jars()
    need_venv()
    pattern = sys.argv[1] if len(sys.argv) > 1 else None
    check, rows, bad, cnt = Checks(), differences.read(), [], 0
    with Scope("hostile") as scope:
        gw, brokers = start(scope)
        say("both are warm")
        began = time.monotonic()
        print(f"{'frame':<66}  {'Apache Kafka':<16}  {'here':<16}", flush=True)
        with concurrent.futures.ThreadPoolExecutor(len(brokers)) as pool:
            for case in cases():
                if pattern and not fnmatch.fnmatchcase(case.name, pattern):
                    continue
                cnt += 1
                if not compare(check, pool, brokers, case, rows):
                    bad.append(case.name)
        say(f"{cnt} frames in {time.monotonic() - began:.1f} s")
        check.that(cnt > 0, "there are frames")
        check.equal(bad, [], f"{cnt} frames: the same from both, or a difference that is listed")
        if not pattern:
            stale = [r.pattern for r in rows if not r.seen]
            check.equal(stale, [], f"each of the {len(rows)} differences in {differences.PAGE} occurs")
            real_clients(check, brokers)
        rss = gw.rss_kb() << 10
        check.that(rss <= MEMORY + RSS_SLACK or SLOW > 1,
                   f"the gateway has {rss >> 20} MiB, at most {(MEMORY + RSS_SLACK) >> 20}")
        check.equal(gw.stop(MORE_TIME)[0], 0, "clean stop")
    check.finish()


if __name__ == "__main__":
    main()

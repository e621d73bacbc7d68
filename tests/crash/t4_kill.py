# SPDX-License-Identifier: Apache-2.0
"""kill -9, twenty times, under mixed load: what was acknowledged is there, same bytes and offset.

UDP over af_xdp, a Kafka producer with acks=1 and an idempotent one with acks=all, all into the
same topic. The producers run through every crash and write down each answer they got.
"""

import os
import random
import signal
import time
from collections import Counter

from sltest import RATE_DIV, SANITIZED, SLOW, Checks, Scope, need_root, say, wait_for
from sltest.batch import read_topic
from sltest.daemon import Daemon, listener, show_ledger, topic
from sltest.kafka import CLIENTS, JARS, dump_check, need_venv, venv_argv
from sltest.load import Sender, parse_numbered
from sltest.netns import Pair

import sys
sys.path.insert(0, CLIENTS)

KILLS = 20
READY_GOAL_S = 5.0
READY_LIMIT_S = READY_GOAL_S * 4  # other work on the machine does not explain more
UDP_RATE = 5000 // RATE_DIV
KAFKA_RATE = 2000 // RATE_DIV
PRODUCERS = (("one", "1", "0"), ("all", "all", "1"))  # tag, acks, idempotent


def start_producers(scope, gw):
    out = {}
    for tag, acks, idempotent in PRODUCERS:
        answers = scope.path(f"{tag}.answers")
        p = scope.popen(venv_argv("producer.py", gw.bootstrap, "logs", tag, acks, idempotent, KAFKA_RATE, answers))
        out[tag] = (p, answers)
    return out


def answered(path):
    """Lines of an answers file that are whole."""
    try:
        with open(path) as f:
            text = f.read()
    except OSError:
        return []
    return text[:text.rfind("\n") + 1].splitlines()


def wait_answers(producers, more, patience=60):
    """Until each producer got `more` further answers: the gateway is really serving again."""
    floor = {t: len(answered(a)) + more for t, (_, a) in producers.items()}

    def moved():
        for t, (p, a) in producers.items():
            if p.poll() is not None:
                raise RuntimeError(f"producer {t} ended with {p.returncode}")
        return all(len(answered(a)) >= floor[t] for t, (_, a) in producers.items())
    wait_for("answers to both producers", moved, patience)


def kill_rounds(gw, producers, check):
    r = random.Random(int(os.environ.get("SLT_SEED", "4")))
    say(f"seed {os.environ.get('SLT_SEED', '4')}")
    times = []
    for i in range(KILLS):
        wait_answers(producers, max(1, 200 // RATE_DIV))
        time.sleep(r.uniform(0, 0.5))  # the moment of the kill is what varies
        gw.kill()
        times.append(gw.start(READY_LIMIT_S))
        say(f"kill {i + 1}: ready again after {times[-1]:.2f} s")
    worst = max(times)
    say(f"restart to ready: median {sorted(times)[len(times) // 2]:.2f} s, worst {worst:.2f} s (goal {READY_GOAL_S} s)")
    check.that(worst < READY_LIMIT_S * SLOW, f"every restart within {READY_LIMIT_S * SLOW:.0f} s")
    if worst >= READY_GOAL_S and not SANITIZED:
        say("note: above the goal")


def end_load(check, sender, producers):
    sent = sender.stop()
    for tag, (p, answers) in producers.items():
        p.send_signal(signal.SIGTERM)
    for tag, (p, answers) in producers.items():
        check.equal(p.wait(90 * SLOW), 0, f"producer {tag} ended without a fatal error")
        say(f"producer {tag}: {answered(answers)[-1]} (sent, acknowledged, failed, fatal)")
    return sent


def check_producer(check, tag, answers, records):
    """Every acknowledged message lies where the answer said."""
    from messages import value_of
    acked = missing = changed = failed = 0
    for line in answered(answers):
        word = line.split()
        if word[0] == "ok":
            acked += 1
            n, part, offset = map(int, word[1:4])
            at = records[part][offset] if 0 <= offset < len(records[part]) else None
            if at is None:
                missing += 1
            elif at.offset != offset or at.value != value_of(tag, n):
                changed += 1
        elif word[0] == "no":
            failed += 1
    check.that(acked > 0, f"{tag}: {acked} acknowledged, {failed} failed for good")
    check.equal((missing, changed), (0, 0), f"{tag}: acknowledged and missing, acknowledged and changed")


def check_log(check, producers, records, led, sent):
    from messages import check_value
    kinds, seen = Counter(), Counter()
    for part in records.values():
        for r in part:
            found = check_value(r.value)
            if found:
                kinds[found[0]] += 1
                seen[found] += 1
                continue
            n = parse_numbered(r.value)
            kinds["udp" if n is not None else "unknown"] += 1
            seen[("udp", n)] += 1
    total = sum(len(p) for p in records.values())
    say(f"in the log: {total} records: {dict(kinds)}")
    check.equal(kinds["unknown"], 0, "nothing in the log that was not sent")
    twice = Counter(tag for (tag, _), c in seen.items() if c > 1)
    check.equal((twice["udp"], twice["all"]), (0, 0), "no UDP record and no idempotent message twice")
    say(f"acks=1 messages stored again by the client's own retries: {twice['one']}")
    check.equal(led["appended"], kinds["udp"], "the ledger's appended is what the log holds of UDP")
    lost = led["lost_by_device"] + led["lost_at_crash"] + led["ring_full"] + sum(led["append_failed"].values())
    say(f"UDP: {sent} sent, {kinds['udp']} stored, {lost} counted as lost "
        f"({led['lost_at_crash']} at a crash), {sent - kinds['udp'] - lost} sent while no gateway ran")
    check.that(kinds["udp"] + lost <= sent, "no more UDP records than were sent")
    check.equal(led["difference"], 0, "the ledger closes over all twenty-one lives")


def main():
    need_root()
    need_venv()
    check = Checks()
    with Scope("t4") as scope:
        pair = Pair(scope, "t4")
        gw = Daemon(scope, ports=[pair.port("af_xdp")],
                    listeners=[listener("syslog", "lan0", "syslog", "logs", 5514, key="source")],
                    topics=[topic("logs", 4, compression_type="producer", segment_bytes=4 << 20)])
        say(f"first start: ready after {gw.start():.2f} s")
        producers = start_producers(scope, gw)
        sender = Sender(scope, pair, 5514, rate=UDP_RATE, size=200)
        kill_rounds(gw, producers, check)
        sent = end_load(check, sender, producers)
        led = gw.wait_settled()
        show_ledger(led)
        code, seconds = gw.stop()
        check.equal(code, 0, f"clean stop ({seconds:.2f} s)")
        records = read_topic(gw.log_dir, "logs")  # raises on a gap, a repeat or a broken batch
        check.that(all(p and p[0].offset == 0 for p in records.values()), "offsets from 0 without gap or repeat")
        check_log(check, producers, records, led, sent)
        for tag, (_, answers) in producers.items():
            check_producer(check, tag, answers, records)
        if os.path.isdir(JARS):
            dump = dump_check(gw.log_dir)
            check.equal(dump.complaints[:5], [], f"Kafka's dump tool: {dump.files} files, {dump.records} records, no complaint")
    check.finish()


if __name__ == "__main__":
    main()

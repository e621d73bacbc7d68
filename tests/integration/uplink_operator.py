# SPDX-License-Identifier: Apache-2.0
"""What an operator does and sees: pause, resume, a rate cap while it runs, and a status that tells an outage.

Paused stays paused over a restart. While the link is cut the state says so, the lag and the age of
the oldest record grow as what came in does, and both are gone when it is back.
"""

import json
import time

from sltest import RATE_DIV, SANITIZED, Checks, Scope, need_root, say, wait_for
from sltest.client import Centre
from sltest.daemon import topic
from sltest.kafka import venv_argv
from sltest.uplink import Box, check_book, compare
from sltest.wan import Wan

RATE = max(50, 500 // RATE_DIV)
VALUE = 1000
CAP = 100000 if SANITIZED else 200000  # bytes a second
CAPPED_S = 8                           # what is waiting then takes about so long


def records(n, size=VALUE):
    return [{"partition": i % 9 % 2, "key": f"k{i % 9}", "value": (f"{i} " * size)[:size]} for i in range(n)]


def check_pause(check, box):
    box.must("pause")
    box.wait_state("paused")
    before = box.forwarded()
    box.client.ask("produce", topic="logs", records=records(100))
    up = wait_for("the lag to be told", lambda: box.uplink() if box.uplink()["lag_records"] >= 100 else None)
    check.equal((box.forwarded(), up["lag_records"], up["state"]), (before, 100, "paused"), "paused: nothing goes, 100 wait")
    box.stop()
    box.start()
    box.wait_state("paused")
    check.equal((box.book()["backlog"], box.forwarded()), (100, before), "still paused after a restart")
    r = box.command("pause")
    check.equal(r.returncode, 0, "pausing again is no mistake")
    box.must("resume")
    box.wait_drained()
    check.equal(box.uplink()["state"], "running", "resumed: all went")


def check_rate(check, box):
    """A backlog at a cap takes its time; without it, it does not."""
    count = CAP * CAPPED_S // VALUE
    box.must("pause")
    for at in range(0, count, 500):
        box.client.ask("produce", topic="logs", records=records(min(500, count - at)))
    box.must("rate", f"{CAP // 1000}KB/s")
    start, began = box.forwarded(), time.monotonic()
    box.must("resume")
    wait_for("three quarters of it to be forwarded", lambda: box.forwarded() >= start + count * 3 // 4, CAPPED_S * 6)
    got = (box.forwarded() - start) * VALUE / (time.monotonic() - began)
    check.that(CAP * 0.4 <= got <= CAP * 1.4, f"capped at {CAP} B/s: {got:.0f} B/s of values")
    box.must("rate", "off")
    began = time.monotonic()
    box.wait_drained(30)
    say(f"the rest without a cap in {time.monotonic() - began:.2f} s")
    check.that(box.command("rate", "fast").returncode != 0, "a rate that is none is refused")


def sample(box):
    up, book = box.uplink(), box.book()
    return up["state"], up["lag_records"], up["oldest_s"], book["backlog"], box.records("logs")


def check_outage(check, box, wan, scope):
    load = scope.popen(venv_argv("producer.py", box.bootstrap, "logs", "one", "1", "0", RATE, scope.path("answers")))
    box.wait_more(RATE)
    before = box.uplink()
    check.that(before["state"] == "running" and before["lag_records"] < 5 * RATE and before["oldest_s"] < 5,
               f"in health: {json.dumps(before)}")
    wan.cut()
    began, seen = time.monotonic(), []
    wait_for("the state to tell the outage", lambda: box.uplink()["state"] == "connecting", 40)
    say(f"state connecting {time.monotonic() - began:.1f} s after the cut: {box.uplink()['last_error'][:160]!r}")
    for _ in range(6):
        seen.append(sample(box))
        time.sleep(1)
    say(f"samples (state, lag, oldest_s, backlog, end): {seen}")
    check.equal({s[0] for s in seen}, {"connecting"}, "connecting all along")
    for i, what in ((1, "lag_records"), (2, "oldest_s"), (3, "backlog")):
        check.that(all(a[i] < b[i] for a, b in zip(seen, seen[1:])), f"{what} grows: {[s[i] for s in seen]}")
    check.that(all(s[1] <= s[3] for s in seen), "the lag is not more than the backlog")
    elapsed = time.monotonic() - began
    check.that(abs(seen[-1][2] - elapsed) < 6, f"the oldest is {seen[-1][2]} s old, {elapsed:.1f} s after the cut")
    check.that(box.uplink()["last_error"], "the reason is told")
    wan.restore()
    box.wait_state("running", 70)
    load.terminate()
    check.equal(load.wait(60), 0, "the producer ended well")
    box.wait_drained()
    up = box.uplink()
    check.equal((up["state"], up["lag_records"]), ("running", 0), "back: nothing waits")


def check_cli(check, box):
    out = json.loads(box.must("status", "--json"))
    check.equal({k: out.get(k) for k in ("state", "lag_records")}, {"state": "running", "lag_records": 0},
                "sluice uplink status --json")
    check.that("running" in box.must("status"), "and for people")
    r = box.command("adopt")
    check.that(r.returncode != 0 and r.stderr, f"adopt without an alarm is refused: {r.stderr.strip()!r}")
    check.that(box.command("no-such-word").returncode != 0, "an unknown word is refused")


def main():
    need_root()
    check = Checks()
    with Scope("u") as scope:
        wan = Wan(scope, "uo")
        centre = Centre(scope, 1, wan=wan)
        box = Box(scope, centre, [topic("logs", 2)], uplink={"destination": "{gateway}.{topic}"})
        box.start()
        box.client.ask("produce", topic="logs", records=records(20))
        box.wait_drained()
        check_cli(check, box)
        check_pause(check, box)
        check_rate(check, box)
        check_outage(check, box, wan, scope)
        _, there = compare(check, box, ["logs"], destination=lambda t: f"{box.gateway}.{t}")
        check_book(check, box, there.count)
        check.equal(box.stop()[0], 0, "clean stop")
    check.finish()


if __name__ == "__main__":
    main()

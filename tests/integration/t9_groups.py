# SPDX-License-Identifier: Apache-2.0
"""Consumer groups by the classic protocol, against the real daemon and real clients.

1. Groups under churn: eight members of two client libraries join, leave and are killed for a
   minute, on a topic that UDP feeds. Every record is processed, and none twice beyond the last
   commit: whoever takes over a partition begins at what had been committed before.
2. A static member is killed and restarted without a rebalance.
3. kill -9 of the gateway: what was committed is there, and members go on by themselves.
4. Apache Kafka's tools: consumer-groups with its verbs, the dump tool and the console consumer on
   __consumer_offsets.
"""

import json
import os
import random
import re
import subprocess
import time
from collections import Counter

from sltest import RATE_DIV, SLOW, Checks, Scope, need_root, say, wait_for
from sltest.base import Timeout
from sltest.daemon import Daemon, listener, topic
from sltest.kafka import (CONSOLE_CONSUMER, DUMP_LOG, VENV_PYTHON, java, log_files, need_jars, need_venv, venv_argv)
from sltest.load import Sender
from sltest.metrics import parse
from sltest.netns import Pair

TOPIC, PARTITIONS, MEMBERS = "logs", 8, 8
LIBRARIES = ("confluent", "kafka-python")
CHURN_S = int(os.environ.get("SLT_CHURN_S") or 60)
UDP_RATE = 1000 // RATE_DIV
CONSUMER_GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
SEED = int(os.environ.get("SLT_SEED") or time.time_ns() % 1_000_000)

COMMIT = """
import sys
from confluent_kafka import Consumer, TopicPartition
c = Consumer({"bootstrap.servers": sys.argv[1], "group.id": sys.argv[2], "enable.auto.commit": False})
parts = [TopicPartition(sys.argv[3], p, int(o)) for p, o in enumerate(sys.argv[4:])]
if parts:
    c.commit(offsets=parts, asynchronous=False)
n = len(c.list_topics(sys.argv[3], timeout=20).topics[sys.argv[3]].partitions)
for p in c.committed([TopicPartition(sys.argv[3], i) for i in range(n)], timeout=20):
    print(p.partition, p.offset)
"""


class Member:
    count = 0

    def __init__(self, scope, gw, library, group, instance="-", diary=None):
        Member.count += 1
        self.library = library
        self.diary = diary or scope.path(f"diary-{Member.count}")
        self.process = scope.popen(venv_argv("group_member.py", library, gw.bootstrap, TOPIC, group, instance,
                                             self.diary), stderr=subprocess.DEVNULL)

    def events(self, *kinds):
        """Lines of the diary that are whole, as (kind, time, rest)."""
        try:
            with open(self.diary) as f:
                text = f.read()
        except OSError:
            return []
        out = []
        for line in text[:text.rfind("\n") + 1].splitlines():
            kind, t, *rest = line.split(" ")
            if not kinds or kind in kinds:
                out.append((kind, int(t), rest))
        return out

    def end(self, patience=20):
        """Leaves in order; returns whether it did."""
        self.process.terminate()
        try:
            self.process.wait(patience * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return any(kind == "left" for kind, _, _ in self.events("left"))

    def kill(self):
        self.process.kill()
        self.process.wait()


def committed(gw, group, *offsets):
    """Commits offsets (if any), then {partition: committed offset}."""
    r = subprocess.run([VENV_PYTHON, "-c", COMMIT, gw.bootstrap, group, TOPIC, *map(str, offsets)],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60 * SLOW)
    if r.returncode != 0:
        raise RuntimeError(r.stderr.decode()[-500:])
    return {int(p): int(o) for p, o in (line.split() for line in r.stdout.decode().splitlines())}


def metric(gw, name):
    return next(iter(parse(gw.http("/metrics")[1])[name].values()))


# ---- 1: churn -------------------------------------------------------------------------------------

def churn(scope, gw, rng, seconds):
    alive = [Member(scope, gw, LIBRARIES[i % 2], "churn") for i in range(MEMBERS)]
    gone, tally = [], {"joined": MEMBERS, "left": 0, "killed": 0}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(rng.uniform(0.5, 3.0))
        join = len(alive) <= 2 or (len(alive) < MEMBERS and rng.random() < 0.5)
        if join:
            alive.append(Member(scope, gw, rng.choice(LIBRARIES), "churn"))
            tally["joined"] += 1
        else:  # by turns
            m = alive.pop(rng.randrange(len(alive)))
            gone.append(m)
            if tally["killed"] <= tally["left"]:
                m.kill()
                tally["killed"] += 1
            else:
                m.process.terminate()  # it leaves while others come and go
                tally["left"] += 1
    while len(alive) < MEMBERS:
        alive.append(Member(scope, gw, LIBRARIES[len(alive) % 2], "churn"))
        tally["joined"] += 1
    return alive, gone, tally


def wait_caught_up(gw, group, ends):
    wait_for(f"{group} to commit every record", lambda: committed(gw, group) == ends, 90, step=1.0)


def runs_of(members):
    """Each stretch of records that a member read in one go: (assigned at, partition, first, last)."""
    runs = []
    for m in members:
        began, at = {}, {}
        for kind, t, rest in m.events("assigned", "record"):
            if kind == "assigned":
                began.update((int(p), t) for p in rest)
                for p in list(at):
                    runs.append(at.pop(p))
                continue
            p, o = int(rest[0]), int(rest[1])
            run = at.get(p)
            if run and o == run[3] + 1:
                run[3] = o
            else:
                if run:
                    runs.append(run)
                at[p] = [began.get(p, 0), p, o, o]
        runs += at.values()
    return runs


def check_churn(check, members, ends):
    seen, records = {p: set() for p in ends}, 0
    commits = {p: [] for p in ends}
    for m in members:
        for kind, t, rest in m.events("record", "commit"):
            p, o = int(rest[0]), int(rest[1])
            if kind == "record":
                seen[p].add(o)
                records += 1
            else:
                commits[p].append((t, o))
    missing = {p: sorted(set(range(end)) - seen[p])[:5] for p, end in ends.items() if len(seen[p]) != end}
    check.equal(missing, {}, "every record was processed")
    early = 0
    runs = runs_of(members)
    for began, p, first, _ in runs:
        floor = max((o for t, o in commits[p] if t < began), default=0)
        if first < floor:
            early += 1
            if early < 4:
                say(f"partition {p}: began at {first}, {floor} had been committed")
    check.equal(early, 0, f"none of {len(runs)} takings-over began before what had been committed")
    unique = sum(map(len, seen.values()))
    errors = Counter(re.sub(r"[0-9]+", "N", " ".join(rest))[:90] for m in members for _, _, rest in m.events("error"))
    for text, n in errors.most_common(4):
        say(f"{n} x {text}")
    say(f"{records} records processed, {unique} of them different: {records - unique} again after their member had "
        f"gone, {sum(map(len, commits.values()))} commits, {len(runs)} stretches")


def under_churn(check, scope, gw, pair):
    rng = random.Random(SEED)
    say(f"churn: seed {SEED}")
    sender = Sender(scope, pair, 5514, rate=UDP_RATE, size=120)
    alive, gone, tally = churn(scope, gw, rng, CHURN_S)
    sender.stop()
    gw.wait_settled()
    ends = gw.ends(TOPIC)
    try:
        wait_caught_up(gw, "churn", ends)
    except Timeout:
        say(f"ends {ends}, committed {committed(gw, 'churn')}, group {describe_state(gw, 'churn')}")
        for m in alive:
            say(f"{m.library} {m.process.poll()}: {m.events('assigned')[-1:]} {m.events('error')[-2:]} {m.events()[-1:]}")
        raise
    left = [m.end() for m in alive]
    for m in gone:
        m.process.wait(20 * SLOW)
    say(f"churn: {tally['joined']} joined, {tally['left']} left, {tally['killed']} killed; "
        f"{metric(gw, 'sluice_kafka_group_rebalances_total'):.0f} rebalances, {sum(ends.values())} records")
    check.that(all(left), "the members of the end left in order")
    check.that(tally["killed"] >= CHURN_S // 20 and tally["left"] >= CHURN_S // 20, "members were killed and left")
    check_churn(check, alive + gone, ends)
    check.equal(committed(gw, "churn"), ends, "everything is committed in the end")


# ---- 2: static members ----------------------------------------------------------------------------

def static_members(check, scope, gw, pair):
    for library in LIBRARIES:
        group = f"static-{library}"
        one, two = (Member(scope, gw, library, group, f"{library}-{i}") for i in (1, 2))
        sender = Sender(scope, pair, 5514, rate=200, size=100)

        def has_partitions(m, n=1):
            return sum(1 for e in m.events("assigned") if e[2]) >= n
        wait_for("both members to have partitions", lambda: has_partitions(one) and has_partitions(two), 60)
        wait_for("the group to settle", lambda: describe_state(gw, group) == ("STABLE", 2), 30, step=0.5)
        before = metric(gw, "sluice_kafka_group_rebalances_total")
        held = set(one.events("assigned")[-1][2])
        one.kill()
        again = Member(scope, gw, library, group, f"{library}-1")
        wait_for("the restarted member to have partitions", lambda: has_partitions(again), 60)
        floor = len(again.events("commit"))
        wait_for("it to commit", lambda: len(again.events("commit")) > floor + 3, 30)
        check.equal(metric(gw, "sluice_kafka_group_rebalances_total"), before,
                    f"{library}: a static member restarted without a rebalance")
        check.equal(set(again.events("assigned")[-1][2]), held, f"{library}: it has the same partitions")
        sender.stop()
        check.that(all([again.end(), two.end()]), f"{library}: static members ended in order")


STATE = """
import sys
from confluent_kafka.admin import AdminClient
a = AdminClient({"bootstrap.servers": sys.argv[1]})
g = a.describe_consumer_groups([sys.argv[2]])[sys.argv[2]].result(20)
print(g.state.name, len(g.members))
"""


def describe_state(gw, group):
    """(state, members) by confluent-kafka's admin client."""
    r = subprocess.run([VENV_PYTHON, "-c", STATE, gw.bootstrap, group], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=60 * SLOW)
    if r.returncode != 0:
        raise RuntimeError(r.stderr.decode()[-500:])
    state, members = r.stdout.decode().split()
    return state, int(members)


# ---- 3: kill -9 of the gateway --------------------------------------------------------------------

def gateway_killed(check, scope, gw, pair):
    members = [Member(scope, gw, library, "survivors") for library in LIBRARIES]
    wait_for("both to read", lambda: all(m.events("assigned") for m in members), 60)
    numbers = {}
    for i in range(5):
        want = {p: 1000 * i + p for p in range(PARTITIONS)}
        got = committed(gw, f"killed-{i}", *want.values())
        check.equal(got, want, f"committed before kill {i}")
        numbers[f"killed-{i}"] = want
        gw.kill()
        took = gw.start()
        for group, offsets in numbers.items():
            if committed(gw, group) != offsets:
                check.that(False, f"{group}: committed offsets after kill {i}")
        say(f"kill {i}: ready after {took:.2f} s")
    check.that(True, "committed offsets of every group after each of 5 kills -9")
    sender = Sender(scope, pair, 5514, rate=500, size=100)
    time.sleep(3 * SLOW)
    sender.stop()
    gw.wait_settled()
    wait_caught_up(gw, "survivors", gw.ends(TOPIC))
    check.that(all(m.process.poll() is None for m in members), "the members went on by themselves")
    check.that(all([m.end() for m in members]), "and left in order")
    check_churn(check, members, gw.ends(TOPIC))


# ---- 4: tools -------------------------------------------------------------------------------------

def groups_tool(scope, gw, *args):
    r = java(scope, CONSUMER_GROUPS, "--bootstrap-server", gw.bootstrap, *args, check=False)
    return r.stdout.decode() + r.stderr.decode()


def check_tools(check, scope, gw):
    text = groups_tool(scope, gw, "--list", "--state")
    check.that(re.search(r"^churn\s+Empty", text, re.M), "consumer-groups --list --state")
    text = groups_tool(scope, gw, "--describe", "--group", "churn")
    rows = re.findall(r"^churn\s+logs\s+(\d+)\s+(\d+)\s+(\d+)\s+(-?\d+)", text, re.M)
    check.equal({int(p): int(o) for p, o, _, _ in rows}, committed(gw, "churn"), "consumer-groups --describe")
    groups_tool(scope, gw, "--reset-offsets", "--group", "churn", "--topic", TOPIC, "--to-earliest", "--execute")
    check.equal(set(committed(gw, "churn").values()), {0}, "consumer-groups --reset-offsets")
    text = groups_tool(scope, gw, "--delete-offsets", "--group", "churn", "--topic", f"{TOPIC}:0")
    check.that("Successful" in text and committed(gw, "churn")[0] == -1001, "consumer-groups --delete-offsets")
    text = groups_tool(scope, gw, "--delete", "--group", "killed-0")
    check.that("successful" in text and set(committed(gw, "killed-0").values()) == {-1001},
               "consumer-groups --delete")
    check.that("does not exist" in groups_tool(scope, gw, "--describe", "--group", "nobody"),
               "consumer-groups --describe of an unknown group")


def check_log(check, scope, gw):
    r = java(scope, CONSOLE_CONSUMER, "--bootstrap-server", gw.bootstrap, "--topic", "__consumer_offsets",
             "--from-beginning", "--timeout-ms", 5000, "--formatter",
             "org.apache.kafka.tools.consumer.OffsetsMessageFormatter", check=False)
    last, at = {}, 0
    text, decoder = r.stdout.decode(), json.JSONDecoder()
    while at < len(text):
        doc, at = decoder.raw_decode(text, at)
        key = doc["key"]["data"]
        if key["group"] == "killed-4":
            last[key["partition"]] = doc["value"]["data"]["offset"] if doc["value"] else None
    check.equal(last, {p: 4000 + p for p in range(PARTITIONS)}, "the console consumer's formatter reads the offsets")
    check.equal(gw.stop()[0], 0, "clean stop")
    files = [f for f in log_files(gw.log_dir) if "__consumer_offsets" in f and f.endswith(".log")]
    r = java(None, DUMP_LOG, "--offsets-decoder", "--files", ",".join(files), timeout=120, check=False, heap="1g")
    text = r.stdout.decode()
    records = len(re.findall(r"^\| offset: ", text, re.M))
    decoded = len(re.findall(r'key: \{"type":"[12]","data":', text))
    check.that(records > 0 and decoded == records, f"the dump tool decodes all of {records} records")
    odd = re.findall(r"(?:Could not|isvalid: false|Exception).*", text + r.stderr.decode())
    check.equal(odd[:3], [], "without a complaint")


def main():
    need_root()
    need_jars()
    need_venv()
    check = Checks()
    with Scope("t9") as scope:
        pair = Pair(scope, "t9")
        gw = Daemon(scope, ports=[pair.port("af_packet")],
                    listeners=[listener("syslog", "lan0", "syslog", TOPIC, 5514, key="source")],
                    topics=[topic(TOPIC, PARTITIONS)], extra={})
        gw.start()
        under_churn(check, scope, gw, pair)
        static_members(check, scope, gw, pair)
        gateway_killed(check, scope, gw, pair)
        check_tools(check, scope, gw)
        check_log(check, scope, gw)
    check.finish()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""What an admin changes with Apache Kafka's own kafka-configs takes effect on a live gateway,
survives a stop, a kill -9 and a change of the config file, and reads back as it was set.

Records are produced and read by kcat; what lies on the disk is read by sltest.batch.
"""

import glob
import os
import re
import time

from sltest import Checks, Scope, say
from sltest.base import wait_for
from sltest.batch import CODECS, Damaged, read_batches
from sltest.daemon import Daemon, topic
from sltest.kafka import java, kcat, need_jars

CONFIGS, TOPICS = "kafka.admin.ConfigCommand", "org.apache.kafka.tools.TopicCommand"
MIB = 1 << 20
LOG_APPEND_TIME = 1 << 3


def noise(n):
    """n bytes that no codec makes smaller, without line ends."""
    return os.urandom(n).hex()[:n].encode()


class Admin:
    def __init__(self, check, scope, gw):
        self.check, self.scope, self.gw = check, scope, gw

    def run(self, cls, *args):
        """(exit code, all that was said)"""
        r = java(self.scope, cls, "--bootstrap-server", self.gw.bootstrap, *args, check=False)
        return r.returncode, (r.stdout + r.stderr).decode(errors="replace")

    def configs(self, name, *args, kind="topics"):
        return self.run(CONFIGS, "--entity-type", kind, "--entity-name", name, *args)

    def set(self, name, key, value):
        code, said = self.configs(name, "--alter", "--add-config", f"{key}={value}")
        self.check.that(code == 0 and "Completed updating" in said, f"kafka-configs sets {name} {key}={value}")

    def unset(self, name, key):
        code, said = self.configs(name, "--alter", "--delete-config", key)
        self.check.that(code == 0 and "Completed updating" in said, f"kafka-configs deletes {name} {key}")

    def refused(self, name, key, value, *words, kind="topics"):
        code, said = self.configs(name, "--alter", "--add-config", f"{key}={value}", kind=kind)
        # the tool ends with 0 or 1, depending on its release; what it says is what counts
        self.check.that("Completed updating" not in said and all(w in said for w in words),
                        f"refused by name: {kind} {key}={value}"
                        + ("" if all(w in said for w in words) else f"\n{code} {said[-600:]}"))

    def own(self, name):
        """{key: (value, synonyms)} of what is the topic's own."""
        _, said = self.configs(name, "--describe")
        return dict((k, (v, s)) for k, v, s in
                    re.findall(r"^\s+(\S+?)=(\S*) sensitive=\S+ synonyms=\{(.*?)\}", said, re.M))

    def value(self, name, key):
        """(value, synonyms) of one setting, whoever set it."""
        _, said = self.configs(name, "--describe", "--all")
        m = re.search(rf"^\s+{re.escape(key)}=(\S*) sensitive=\S+ synonyms=\{{(.*?)\}}", said, re.M)
        return m.groups() if m else (None, said[-400:])


def produce(scope, gw, name, *values, check=True):
    return kcat(scope, gw, "-P", "-t", name, "-p", 0, "-X", "message.max.bytes=8000000", "-X", "retries=0",
                stdin=b"".join(v + b"\n" for v in values), check=check)


def segments(gw, name):
    return sorted(glob.glob(os.path.join(gw.log_dir, f"{name}-0", "*.log")))


def last_batch(gw, name):
    """The newest batch on the disk; behind it the live segment has only what was written ahead."""
    last = None
    try:
        for last, _ in read_batches(segments(gw, name)[-1]):
            pass
    except Damaged:
        pass
    return last


def log_start(gw, name):
    for t in gw.status()["topics"]:
        if t["name"] == name:
            return t["partitions"][0]["log_start"]
    return None


def over_long_record(check, scope, gw, admin):
    value = noise(50000)
    produce(scope, gw, "adm", value)
    admin.set("adm", "max.message.bytes", 20000)
    r = produce(scope, gw, "adm", value, check=False)
    said = r.stderr.decode(errors="replace")
    check.that("too large" in said.lower(), "a record beyond max.message.bytes is refused"
               + ("" if "too large" in said.lower() else f": {said[-300:]}"))
    produce(scope, gw, "adm", noise(10000))
    check.equal(gw.records("adm"), 2, "the two that fit are there")
    admin.unset("adm", "max.message.bytes")
    produce(scope, gw, "adm", value)
    check.equal(gw.records("adm"), 3, "deleted again: the large one is taken")


def append_time_and_codec(check, scope, gw, admin):
    check.equal(last_batch(gw, "adm").attributes & LOG_APPEND_TIME, 0, "batches have the producer's time")
    admin.set("adm", "message.timestamp.type", "LogAppendTime")
    before = time.time_ns() // 1000000
    produce(scope, gw, "adm", b"by the log's clock")
    b = last_batch(gw, "adm")
    check.that(b.attributes & LOG_APPEND_TIME, "LogAppendTime: the stored batch says so")
    check.that(before <= b.max_ts <= time.time_ns() // 1000000, "and has the time at which it was appended")
    for codec in ("zstd", "gzip"):
        admin.set("adm", "compression.type", codec)
        produce(scope, gw, "adm", b"0123456789" * 200)
        check.equal(CODECS[last_batch(gw, "adm").attributes & 7], codec, f"compression.type={codec}: stored so")
    r = kcat(scope, gw, "-C", "-t", "adm", "-p", 0, "-o", "beginning", "-e", "-q", "-f", "%S\n")
    check.equal([int(x) for x in r.stdout.split()], [50000, 10000, 50000, 18, 2000, 2000],
                "and all is read back")


def roll(check, scope, gw, admin):
    check.equal(len(segments(gw, "adm")), 1, "one segment so far")
    admin.set("adm", "compression.type", "producer")
    admin.set("adm", "max.message.bytes", MIB)
    admin.set("adm", "segment.bytes", MIB)
    for _ in range(4):
        produce(scope, gw, "adm", *[noise(100000) for _ in range(15)])
    count = len(segments(gw, "adm"))
    check.that(5 <= count <= 9, f"segment.bytes=1 MiB: 6 MB are in {count} segments")
    check.that(all(os.path.getsize(s) <= MIB for s in segments(gw, "adm")[:-1]), "none of the closed is larger")


def retention(check, scope, gw, admin):
    end = gw.records("adm")
    check.equal(log_start(gw, "adm"), 0, "nothing has been deleted")
    admin.set("adm", "retention.bytes", 2 * MIB)
    wait_for("retention.bytes to delete", lambda: log_start(gw, "adm") > 0, 20)
    start = log_start(gw, "adm")
    check.that(0 < start < end, f"retention.bytes: the log starts at {start} of {end}")
    admin.set("adm", "retention.ms", 1)
    wait_for("retention.ms to delete", lambda: log_start(gw, "adm") == end, 20)
    check.equal(gw.records("adm"), end, "retention.ms=1: all is deleted, offsets go on")
    admin.set("adm", "retention.ms", 3600000)
    produce(scope, gw, "adm", b"kept")
    r = kcat(scope, gw, "-C", "-t", "adm", "-p", 0, "-o", "beginning", "-e", "-q", "-f", "%o %s\n")
    check.equal(r.stdout, b"%d kept\n" % end, "what comes then is read")


WANT = {"message.timestamp.type": "LogAppendTime", "compression.type": "producer", "max.message.bytes": str(MIB),
        "segment.bytes": str(MIB), "retention.bytes": str(2 * MIB), "retention.ms": "3600000"}


def survives(check, gw, admin):
    def reads_back(when):
        check.equal({k: v for k, (v, _) in admin.own("adm").items()}, WANT, f"{when}: it reads back as it was set")
    reads_back("at once")
    check.equal(gw.stop()[0], 0, "clean stop")
    gw.start()
    reads_back("after a restart")
    admin.set("adm", "retention.ms", 7200000)
    gw.kill()
    gw.start()
    WANT["retention.ms"] = "7200000"
    reads_back("right after kill -9")


def file_and_admin(check, gw, admin):
    value, syns = admin.value("filed", "retention.ms")
    check.equal(value, "500000", "the config file's value holds")
    check.that("STATIC_BROKER_CONFIG:retention.ms=500000" in syns, "and comes from the file")
    admin.set("filed", "retention.ms", 900000)
    value, syns = admin.value("filed", "retention.ms")
    check.equal(value, "900000", "an admin's value wins")
    check.that("DYNAMIC_TOPIC_CONFIG:retention.ms=900000, STATIC_BROKER_CONFIG:retention.ms=500000" in syns,
               "the file's is seen below it")
    gw.stop()
    gw.config["topics"][0]["config"].update({"retention.ms": 700000, "segment.ms": 3600000})
    gw.write_config()
    gw.start()
    check.equal(admin.value("filed", "retention.ms")[0], "900000", "also when the file has changed")
    check.equal(admin.value("filed", "segment.ms")[0], "3600000", "a new key of the file holds")
    admin.unset("filed", "retention.ms")
    check.equal(admin.value("filed", "retention.ms")[0], "700000", "deleted: the file's new value holds")


def refusals(check, admin):
    admin.refused("adm", "cleanup.policy", "compact", "cleanup.policy", "not in this version")
    admin.refused("adm", "min.insync.replicas", 2, "min.insync.replicas", "one node")
    admin.refused("adm", "retention.ms", "soon", "retention.ms", "soon")
    admin.refused("adm", "segment.bytes", 1000, "segment.bytes")
    admin.refused("adm", "no.such.key", 1, "no.such.key")
    admin.refused("1", "log.retention.ms", 5, "log.retention.ms", "config file", kind="brokers")
    check.equal({k: v for k, (v, _) in admin.own("adm").items()}, WANT, "nothing has changed by that")


def recreate(check, scope, gw, admin):
    def topic_id():
        _, said = admin.run(TOPICS, "--describe", "--topic", "adm")
        m = re.search(r"TopicId: (\S+)\s+PartitionCount: (\d+)", said)
        return m.groups() if m else (None, said[-300:])
    before, parts = topic_id()
    admin.run(TOPICS, "--alter", "--topic", "adm", "--partitions", 3)
    check.equal((parts, topic_id()), ("1", (before, "3")), "a topic grows and keeps its id")
    code, said = admin.run(TOPICS, "--delete", "--topic", "adm")
    check.that(code == 0, f"kafka-topics deletes it {said[-200:] if code else ''}")
    code, said = admin.run(TOPICS, "--create", "--topic", "adm", "--partitions", 2, "--config", "retention.ms=60000")
    check.that(code == 0 and "Created topic" in said, "and makes it anew")
    produce(scope, gw, "adm", b"new")
    after, parts = topic_id()
    check.that(after and after != before and parts == "2", "with another id")
    check.equal({k: v for k, (v, _) in admin.own("adm").items()}, {"retention.ms": "60000"},
                "nothing of the old one's settings")
    r = kcat(scope, gw, "-C", "-t", "adm", "-p", 0, "-o", "beginning", "-e", "-q", "-f", "%o %s\n")
    check.equal(r.stdout, b"0 new\n", "and its records start at 0")
    gw.kill()
    gw.start()
    check.equal(topic_id()[0], after, "also after kill -9")


def main():
    need_jars()
    check = Checks()
    with Scope("configs") as scope:
        gw = Daemon(scope, ports=[], listeners=[], topics=[topic("filed", 1, retention_ms=500000)],
                    storage={"retention_check": "200ms"}, kafka_config={"auto.create.topics.enable": False})
        gw.start()
        admin = Admin(check, scope, gw)
        code, said = admin.run(TOPICS, "--create", "--topic", "adm", "--partitions", 1)
        check.that(code == 0 and "Created topic" in said, "kafka-topics makes a topic")
        over_long_record(check, scope, gw, admin)
        append_time_and_codec(check, scope, gw, admin)
        roll(check, scope, gw, admin)
        retention(check, scope, gw, admin)
        survives(check, gw, admin)
        refusals(check, admin)
        file_and_admin(check, gw, admin)
        recreate(check, scope, gw, admin)
        check.equal(gw.stop()[0], 0, "clean stop")
        say(f"log: {len([x for x in gw.log_text().splitlines() if ' error ' in x])} errors")
    check.finish()


if __name__ == "__main__":
    main()

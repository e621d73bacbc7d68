# SPDX-License-Identifier: Apache-2.0
"""The rows of Apache Kafka's own tools of one version, run in two JVMs (java/ToolServer.java)."""

import json
import random
import re
import threading
import time

from sltest.base import wait_for
from sltest.batch import CODECS

from . import records
from .jvm import Jvm, check, events
from .report import expect
from .tools_groups import GroupTools

DAY_MS = 86400000


class Tools(GroupTools):
    def __init__(self, bench, name, reference):
        self.bench, self.name, self.report, self.ref = bench, name, bench.report, reference
        self.version = name.split("-", 1)[1]
        self.jvm, self.second = Jvm(bench, self.version, "a"), Jvm(bench, self.version, "b")
        self.topic, self.lines_topic, self.group = f"m.{name}", f"m.{name}.lines", f"g.{name}"
        self.random = random.Random(f"{bench.seed}/{name}")
        self.sent = 0

    def row(self, feature, check_, *args):
        return self.report.run(self.name, feature, check_, *args)

    def tool(self, tool, *args, **kw):
        return self.jvm.run(tool, "--bootstrap-server", self.bench.bootstrap, *args, **kw)

    def run(self):
        self.report.versions[self.name] = ""
        # Here, since a process ends with the thread that started it (sltest.base.Scope.popen).
        self.second.start()
        try:
            self._topics()
            self._producers()
            self._consumers()
            self._groups()
            self._others()
            self.row("topics --delete", self.delete_topic)
        finally:
            self.jvm.end()
            self.second.end()

    def _topics(self):
        self.row("topics --create", self.create)
        self.row("topics --list", self.list_topics)
        self.row("topics --describe", self.describe)
        self.row("topics --alter --partitions", self.grow)

    def _producers(self):
        for codec in CODECS:
            self.row(f"console-producer {codec}, acks 0, 1, all", self.console_produce, codec)
        self.row("verifiable-producer, acks 0, 1, all", self.verifiable_produce)
        self.row("producer-perf-test, every codec", self.perf_produce)

    def _consumers(self):
        self.row("console-consumer --partition --offset", self.console_by_offset)
        self.row("console-consumer --from-beginning --group", self.console_by_group)
        self.row("consumer-perf-test", self.perf_consume)
        self.row("verifiable-consumer: two members", self.verifiable, "range", False)
        self.row("verifiable-consumer: cooperative-sticky", self.verifiable, "cooperative", False)
        self.row("verifiable-consumer: static members", self.verifiable, "range", True)

    def _others(self):
        self.row("configs --describe topic", self.describe_topic_configs)
        self.row("configs --alter topic", self.alter_topic_configs)
        self.row("configs --describe broker", self.describe_broker)
        self.row("configs --describe clients", self.describe_clients)
        self.row("get-offsets earliest, latest, max-timestamp, time", self.get_offsets)
        self.row("delete-records", self.delete_records)
        self.row("log-dirs --describe", self.log_dirs)
        self.row("reassign-partitions --list", self.reassignments)
        self.row("cluster cluster-id", self.cluster_id)
        self.row("broker-api-versions", self.api_versions)
        self.row("acls --list: security is disabled", self.acls)

    # ---- topics ----

    def _partitions(self, topic):
        return self.ref.do("describe", topic=topic)["partitions"]

    def create(self):
        for topic in (self.topic, self.lines_topic):
            a = self.tool("TopicCommand", "--create", "--topic", topic, "--partitions", 2, "--config",
                          f"retention.ms={DAY_MS}")
            expect(f"Created topic {topic}" in a["out"], a["out"])
            self.bench.wait_ready(self.ref, topic, 2)
        again = self.tool("TopicCommand", "--create", "--topic", self.topic, ok=False)
        expect(again["exit"] == 1 and "already exists" in again["out"] + again["err"], f"created twice: {again}")
        self.tool("TopicCommand", "--create", "--if-not-exists", "--topic", self.topic)

    def list_topics(self):
        names = self.tool("TopicCommand", "--list")["out"].split()
        expect(self.topic in names and self.bench.ref_topic in names, f"{names}")
        return f"{len(names)} topics"

    def describe(self):
        out = self.tool("TopicCommand", "--describe", "--topic", self.topic)["out"]
        expect("PartitionCount: 2" in out and f"retention.ms={DAY_MS}" in out, out)
        expect(len(re.findall(r"Partition: \d+\tLeader: \d+\tReplicas: \d+\tIsr: \d+", out)) == 2, out)
        expect(re.search(r"TopicId: [\w-]{22}\b", out), out)
        self.tool("TopicCommand", "--describe", "--under-replicated-partitions")

    def grow(self):
        for topic in (self.topic, self.lines_topic):
            self.tool("TopicCommand", "--alter", "--topic", topic, "--partitions", 3)
            self.bench.wait_ready(self.ref, topic, 3)
        less = self.tool("TopicCommand", "--alter", "--topic", self.topic, "--partitions", 1, ok=False)
        expect(less["exit"] == 1 and self._partitions(self.topic) == 3, f"shrunk: {less}")

    # ---- producers ----

    def _ends(self, topic=None, at="latest"):
        return self.ref.offsets("offsets", topic=topic or self.topic, partitions=[0, 1, 2], at=at)

    def _arrived(self, topic, before, count):
        """Waits for so many records more; returns them."""
        wait_for(f"{count} more records in {topic}",
                 lambda: sum(self._ends(topic).values()) >= sum(before.values()) + count, 10)
        ends = self._ends(topic)
        expect(sum(ends.values()) == sum(before.values()) + count, f"{before} to {ends}, not {count} more")
        return self.bench.dump(self.ref, topic, before, ends)

    def _line(self, codec, acks, i):
        """(line for the console producer, key, value, headers)"""
        value = " ".join(self.random.choice(records.WORDS) for _ in range(self.random.randrange(1, 120))) + f" {i}"
        key = f"{codec}-{acks}-{i % 3}"
        if i == 4:
            return f"h:v,h2:\tNIL\t{value}", None, value, [("h", b"v"), ("h2", b"")]
        if i == 5:
            return f"why:gone\t{key}\tNIL", key, None, [("why", b"gone")]
        return f"n:{i}\t{key}\t{value}", key, value, [("n", b"%d" % i)]

    def console_produce(self, codec):
        for acks in ("0", "1", "all"):
            before, rows = self._ends(), [self._line(codec, acks, i) for i in range(12)]
            self.tool("ConsoleProducer", "--topic", self.topic, "--compression-codec", codec, "--request-required-acks",
                      acks, "--producer-property", f"acks={acks}", *(x for p in (
                          "parse.headers=true", "parse.key=true", "null.marker=NIL") for x in ("--property", p)),
                      stdin="".join(r[0] + "\n" for r in rows))
            found = self._arrived(self.topic, before, len(rows))
            want = sorted(((k and k.encode(), v and v.encode(), h) for _, k, v, h in rows), key=repr)
            expect(sorted(((r.key, r.value, r.headers) for r in found), key=repr) == want, f"acks={acks}: other records")

    def verifiable_produce(self):
        count = 200
        for acks in (0, 1, -1):
            before = self._ends(self.lines_topic)
            a = self.tool("VerifiableProducer", "--topic", self.lines_topic, "--max-messages", count, "--acks", acks,
                          "--value-prefix", acks + 1, until="producer_send_success", times=count)
            sent = events(a["out"], "producer_send_success")
            expect(len(sent) == count, f"acks={acks}: {len(sent)} acknowledged: {a['out'][-200:]}")
            found = {(r.partition, r.offset): r.value for r in self._arrived(self.lines_topic, before, count)}
            for e in sent if acks else ():
                expect(found.get((e["partition"], e["offset"])) == e["value"].encode(), f"acks={acks}: {e}")

    def perf_produce(self):
        props = ["bootstrap.servers=" + self.bench.bootstrap]
        for i, codec in enumerate(CODECS):
            before = self._ends(self.lines_topic)
            a = self.jvm.run("ProducerPerformance", "--topic", self.lines_topic, "--num-records", 500, "--record-size", 300,
                             "--throughput", -1, "--producer-props", *props, f"acks={(0, 1, 'all')[i % 3]}",
                             f"compression.type={codec}")
            expect("500 records sent" in a["out"], a["out"])
            found = self._arrived(self.lines_topic, before, 500)
            expect(all(len(r.value) == 300 for r in found), "a record of another size")
        return "5 x 500 records"

    # ---- consumers ----

    def _everything(self, topic):
        begin, ends = self._ends(topic, "earliest"), self._ends(topic)
        return self.bench.dump(self.ref, topic, begin, ends)

    def console_by_offset(self):
        want = [r for r in self._everything(self.lines_topic) if r.partition == 1]
        expect(len(want) > 10, f"{len(want)} records to read")
        begin = self.random.randrange(len(want) // 2)
        a = self.tool("ConsoleConsumer", "--topic", self.lines_topic, "--partition", 1, "--offset", begin,
                      "--max-messages", len(want) - begin, "--timeout-ms", 15000, "--property", "print.offset=true",
                      "--property", "print.timestamp=true")
        got = a["out"].splitlines()
        expect(got == [f"CreateTime:{r.timestamp}\tOffset:{r.offset}\t{r.value.decode()}" for r in want[begin:]],
               f"{len(got)} lines of {len(want) - begin}, or other text: {got[:1]}")
        return f"{len(got)} records from offset {begin}"

    def console_by_group(self):
        want = self._everything(self.topic)
        a = self.tool("ConsoleConsumer", "--topic", self.topic, "--from-beginning", "--group", self.group,
                      "--max-messages", len(want), "--timeout-ms", 15000, *(x for p in (
                          "print.key=true", "print.headers=true", "print.partition=true", "print.offset=true")
                          for x in ("--property", p)))
        got = sorted(line.split("\t", 2)[:2] for line in a["out"].splitlines())
        expect(got == sorted([f"Partition:{r.partition}", f"Offset:{r.offset}"] for r in want),
               f"{len(got)} lines of {len(want)}: {a['err'][-200:]}")
        committed = self.ref.offsets("committed", group=self.group, topic=self.topic)
        expect({p: o for p, o in committed.items() if o} == {p: o for p, o in self._ends().items() if o},
               f"committed {committed}, ends {self._ends()}")
        return f"{len(want)} records, committed"

    def perf_consume(self):
        count = len(self._everything(self.lines_topic))
        a = self.tool("ConsumerPerformance", "--topic", self.lines_topic, "--messages", count, "--timeout", 15000)
        figures = a["out"].strip().splitlines()[-1].split(",")
        expect(int(figures[4]) == count, f"{a['out']}")
        return f"{count} records"

    def verifiable(self, strategy, static):
        """Two members in two JVMs; each ends when it has read what is its own."""
        group = f"{self.group}.v.{strategy}{'.static' if static else ''}"
        topic = f"{self.topic}.v.{strategy}{static}"
        self.bench.create(self.ref, topic, 4)
        cls = {"range": "RangeAssignor", "cooperative": "CooperativeStickyAssignor"}[strategy]
        answers = [None, None]
        half = 100

        def member(i, jvm):
            args = ["--bootstrap-server", self.bench.bootstrap, "--topic", topic, "--group-id", group,
                    "--max-messages", half, "--reset-policy", "earliest", "--session-timeout", 10000,
                    "--assignment-strategy", "org.apache.kafka.clients.consumer." + cls]
            if static:
                args += ["--group-instance-id", f"member-{i}"]
            try:
                answers[i] = jvm.run("VerifiableConsumer", *args, timeout=60)
            except Exception as e:
                answers[i] = e
        threads = [threading.Thread(target=member, args=(i, j)) for i, j in enumerate((self.jvm, self.second))]
        for t in threads:
            t.start()
        try:
            def stable():
                d = self.bench.describe_group(group)
                return d["state"] == "STABLE" and d["members"] == 2 or not any(t.is_alive() for t in threads)
            wait_for("two members", stable, 30)
            time.sleep(0.5 if strategy == "cooperative" else 0)  # its second rebalance moves the partitions
            wait_for("two members", stable, 30)
            self._feed(topic)
        finally:
            for t in threads:
                t.join()
        return self._check_members(group, topic, answers, half, static)

    def _feed(self, topic):
        """Enough for each member, whichever two partitions it has."""
        cell = records.Maker(f"{self.bench.seed}/{topic}").cell(400)[:400]
        path = records.write(self.bench.path(f"feed-{topic}"), [s._replace(key=b"%d" % i) for i, s in enumerate(cell)])
        self.ref.do("produce", topic=topic, codec="lz4", acks="all", file=path)

    @staticmethod
    def _assigned_at_first_read(text):
        """The partitions that a verifiable consumer had when the first records came, and its story."""
        mine, story = set(), []
        for e in (json.loads(line) for line in text.splitlines() if line.startswith("{")):
            parts = {p["partition"] for p in e.get("partitions", ())}
            story.append(f"{e['timestamp'] % 100000} {e['name']} {sorted(parts)}")
            if e["name"] == "partitions_assigned":
                mine |= parts
            elif e["name"] == "partitions_revoked":
                mine -= parts
            elif e["name"] == "records_consumed":
                break
        return mine, story

    def _check_members(self, group, topic, answers, half, static):
        had, story = [], []
        for i, a in enumerate(answers):
            if isinstance(a, Exception):
                raise a
            check("VerifiableConsumer", a)
            count = sum(e["count"] for e in events(a["out"], "records_consumed"))
            expect(count >= half, f"member {i} read {count}: {a['out'][-300:]}")
            commits = events(a["out"], "offsets_committed")
            expect(commits and all(e["success"] for e in commits), f"commits of member {i}: {commits[-2:]}")
            mine, said = self._assigned_at_first_read(a["out"])
            had.append(mine)
            story.append(said)
        expect(all(had) and not had[0] & had[1] and had[0] | had[1] == {0, 1, 2, 3}, f"they had {had}: {story}")
        committed = self.ref.offsets("committed", group=group, topic=topic)
        expect(sum(committed.values()) >= 2 * half, f"committed {committed}")
        if static:
            d = self.bench.describe_group(group)
            expect(d["instances"] == ["member-0", "member-1"], f"after they closed: {d}")
        return f"partitions {sorted(had[0])} and {sorted(had[1])}"

    # ---- configs ----

    def configs(self, *args, **kw):
        return self.tool("ConfigCommand", *args, **kw)

    def describe_topic_configs(self):
        out = self.configs("--describe", "--topic", self.topic)["out"]
        expect(re.search(rf"retention.ms={DAY_MS} sensitive=false synonyms=\{{DYNAMIC_TOPIC_CONFIG:retention.ms={DAY_MS}", out),
               out)
        everything = self.configs("--describe", "--topic", self.topic, "--all")["out"]
        for name in ("cleanup.policy", "segment.bytes", "max.message.bytes", "compression.type", "message.timestamp.type"):
            expect(f"  {name}=" in everything, f"no {name}")
        return f"{everything.count('synonyms=')} settings"

    def alter_topic_configs(self):
        self.configs("--alter", "--topic", self.topic, "--add-config", "retention.ms=7200000,segment.bytes=33554432")
        self._becomes({"retention.ms": "7200000", "segment.bytes": "33554432"})
        self.configs("--alter", "--topic", self.topic, "--delete-config", "segment.bytes")
        out = self.configs("--describe", "--topic", self.topic)["out"]
        expect("segment.bytes" not in out and "retention.ms=7200000" in out, out)
        bad = self.configs("--alter", "--topic", self.topic, "--add-config", "no.such.setting=1", ok=False)
        expect(bad["exit"] != 0 or "Error" in bad["err"] + bad["out"], f"an unknown setting was taken: {bad}")

    def _becomes(self, want):
        def same():
            got = self.ref.do("configs", topic=self.topic)["configs"]
            return {n: got.get(n) for n in want} == want
        wait_for(f"{want}", same, 5)

    def describe_broker(self):
        node = re.search(r"id: (\d+)", self.tool("BrokerApiVersionsCommand")["out"])[1]
        out = self.configs("--describe", "--entity-type", "brokers", "--entity-name", node, "--all")["out"]
        for name in ("log.retention.ms", "log.segment.bytes", "message.max.bytes", "num.partitions"):
            expect(f"  {name}=" in out, f"no {name} among {out.count('synonyms=')}")
        return f"broker {node}, {out.count('synonyms=')} settings"

    def describe_clients(self):
        self.configs("--describe", "--entity-type", "clients")
        self.configs("--describe", "--entity-type", "clients", "--entity-default")

    # ---- the rest ----

    def get_offsets(self):
        found = self._everything(self.topic)
        begin, ends = self._ends(at="earliest"), self._ends()
        t = self.random.choice(found).timestamp
        want_max = {}
        for p in ends:
            mine = [r for r in found if r.partition == p]
            if mine:
                top = max(r.timestamp for r in mine)
                want_max[p] = {r.offset for r in mine if r.timestamp == top}
        by_time = {p: o for p in ends if (o := min((r.offset for r in found if r.partition == p and r.timestamp >= t),
                                                   default=None)) is not None}
        for words, want in (("earliest", begin), ("-2", begin), ("latest", ends), ("-1", ends), (str(t), by_time)):
            got = self._get_offsets(words)
            expect({p: got.get(p) for p in want} == want, f"--time {words}: {got}, not {want}")
        got = self._get_offsets("max-timestamp")
        expect(set(got) == set(want_max) and all(got[p] in want_max[p] for p in got), f"max-timestamp: {got}, not {want_max}")

    def _get_offsets(self, words):
        out = self.tool("GetOffsetShell", "--topic", self.topic, "--time", words)["out"]
        return {int(line.split(":")[1]): int(line.split(":")[2]) for line in out.split() if line.split(":")[2]}

    def delete_records(self):
        ends = self._ends()
        want = {p: o // 2 for p, o in ends.items() if o > 1}
        path = self.bench.path(f"delete-{self.version}.json")
        with open(path, "w") as f:
            json.dump({"version": 1, "partitions": [{"topic": self.topic, "partition": p, "offset": o}
                                                    for p, o in want.items()]}, f)
        out = self.tool("DeleteRecordsCommand", "--offset-json-file", path)["out"]
        low = {int(p): int(o) for p, o in re.findall(r"partition: \S+-(\d+)\s+low_watermark: (\d+)", out)}
        expect(low == want, f"{out}")
        got = self._ends(at="earliest")
        expect({p: got[p] for p in want} == want, f"the log starts at {got}, not {want}")

    def log_dirs(self):
        out = self.tool("LogDirsCommand", "--describe", "--topic-list", self.topic)["out"]
        d = json.loads(next(line for line in out.splitlines() if line.startswith("{")))
        parts = {p["partition"]: p["size"] for b in d["brokers"] for log in b["logDirs"] for p in log["partitions"]}
        expect(set(parts) == {f"{self.topic}-{p}" for p in range(3)}, f"{parts}")
        ends = self._ends()
        expect(all(size > 0 for name, size in parts.items() if ends[int(name[-1])]), f"{parts}")
        expect(all(log["error"] is None for b in d["brokers"] for log in b["logDirs"]), out)

    def reassignments(self):
        out = self.tool("ReassignPartitionsCommand", "--list")["out"]
        expect("No partition reassignments found" in out, out)

    def cluster_id(self):
        a = self.jvm.run("ClusterTool", "cluster-id", "--bootstrap-server", self.bench.bootstrap)
        found = re.search(r"Cluster ID: (\S{22})$", a["out"].strip())
        expect(found, a["out"])
        return found[1]

    def api_versions(self):
        out = self.tool("BrokerApiVersionsCommand")["out"]
        expect(re.search(r"Produce\(0\): 0 to \d+ \[usable: \d+\]", out), out[:300])
        usable = re.findall(r"\w+\(\d+\): [\d to]+\[usable", out)
        return f"{len(usable)} usable"

    def acls(self):
        a = self.tool("AclCommand", "--list", ok=False)
        expect("SecurityDisabledException" in a["err"] + a["out"], f"{a['err'][-300:]}{a['out'][-200:]}")

    def delete_topic(self):
        for topic in (self.topic, self.lines_topic):
            self.tool("TopicCommand", "--delete", "--topic", topic)
            wait_for(f"{topic} to go", lambda t=topic: t not in self.tool("TopicCommand", "--list")["out"].split(), 10)

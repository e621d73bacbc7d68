# SPDX-License-Identifier: Apache-2.0
"""Unmodified clients, every codec and acks level, on the topic that UDP feeds at the same time.

Producers: kcat, Apache Kafka's console producer and ProducerPerformance, confluent-kafka,
kafka-python. Consumers: kcat, the console consumer by partition, confluent-kafka, kafka-python,
each of which must read exactly what lies in the log. GetOffsetShell must know the offsets.
A row of the matrix is printed for each.
"""

import hashlib
import json
import subprocess
from collections import Counter

from sltest import RATE_DIV, SLOW, Checks, Scope, need_root, say
from sltest.daemon import Daemon, listener, topic
from sltest.kafka import (ACKS, CODECS, CONSOLE_CONSUMER, CONSOLE_PRODUCER, GET_OFFSETS, PERF_PRODUCER, java, kcat,
                          need_jars, need_venv, venv_argv)
from sltest.load import Sender
from sltest.netns import Pair

TOPIC, PARTITIONS = "logs", 4
MESSAGES = 100
UDP_RATE = 2000 // RATE_DIV


def values(client, codec, acks):
    """What a client sends in one cell of the matrix: text lines, of many lengths."""
    return [f"{client}/{codec}/{acks}/{i:04d} " + hashlib.sha256(b"%d" % i).hexdigest() * (i % 5)
            for i in range(MESSAGES)]


def by_kcat(scope, gw, codec, acks):
    lines = "".join(v + "\n" for v in values("kcat", codec, acks)).encode()
    kcat(scope, gw, "-P", "-t", TOPIC, "-z", codec, "-X", f"acks={acks}", stdin=lines)


def by_console(scope, gw, codec, acks):
    lines = "".join(v + "\n" for v in values("console", codec, acks)).encode()
    r = java(scope, CONSOLE_PRODUCER, "--bootstrap-server", gw.bootstrap, "--topic", TOPIC, "--compression-codec",
             codec, "--producer-property", f"acks={acks}", "--request-required-acks", acks, stdin=lines)
    complaints = [line for line in r.stderr.decode().splitlines() if "ERROR" in line]
    if complaints:
        raise RuntimeError(complaints[0])


def by_perf(scope, gw, codec, acks):
    path = scope.path("payloads")
    with open(path, "w") as f:
        f.write("\n".join(values("perf", codec, acks)) + "\n")
    r = java(scope, PERF_PRODUCER, "--topic", TOPIC, "--num-records", MESSAGES, "--throughput", -1, "--payload-file",
             path, "--producer-props", f"bootstrap.servers={gw.bootstrap}", f"acks={acks}",
             f"compression.type={codec}")
    if f"{MESSAGES} records sent" not in r.stdout.decode():
        raise RuntimeError(r.stdout.decode()[-300:])


def by_python(script, client):
    def produce(scope, gw, codec, acks):
        lines = "".join(v + "\n" for v in values(client, codec, acks)).encode()
        r = subprocess.run(venv_argv(script, "produce", gw.bootstrap, TOPIC, codec, acks), input=lines,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60 * SLOW)
        if r.returncode != 0:
            raise RuntimeError(r.stderr.decode()[-500:])
    return produce


# ProducerPerformance picks payloads at random with replacement, so its own lines are checked as
# members of what it was given, and by their number.
PRODUCERS = {"kcat": by_kcat, "console": by_console, "perf": by_perf,
             "confluent": by_python("matrix_confluent.py", "confluent"),
             "kafka-python": by_python("matrix_kafka_python.py", "kafka-python")}


def read_kcat(scope, gw, ends):
    r = kcat(scope, gw, "-q", "-C", "-t", TOPIC, "-o", "beginning", "-e", "-f", r"%p %o %s\n")
    return r.stdout.splitlines()


def read_console(scope, gw, ends):
    out = []
    for p, end in ends.items():
        r = java(scope, CONSOLE_CONSUMER, "--bootstrap-server", gw.bootstrap, "--topic", TOPIC, "--partition", p,
                 "--offset", "earliest", "--max-messages", end, "--timeout-ms", 20000, "--property",
                 "print.offset=true", "--property", "print.partition=true")
        for line in r.stdout.splitlines():
            part, offset, value = line.split(b"\t", 2)
            out.append(b"%s %s %s" % (part.split(b":")[1], offset.split(b":")[1], value))
    return out


def read_python(script):
    def read(scope, gw, ends):
        r = subprocess.run(venv_argv(script, "consume", gw.bootstrap, TOPIC, json.dumps(ends)),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120 * SLOW)
        if r.returncode != 0:
            raise RuntimeError(r.stderr.decode()[-500:])
        return r.stdout.splitlines()
    return read


CONSUMERS = {"kcat": read_kcat, "console": read_console, "confluent": read_python("matrix_confluent.py"),
             "kafka-python": read_python("matrix_kafka_python.py")}


def cell(check, scope, gw, client, codec, acks):
    try:
        PRODUCERS[client](scope, gw, codec, acks)
        return "ok"
    except (RuntimeError, subprocess.TimeoutExpired) as e:
        check.that(False, f"{client} {codec} acks={acks}: {str(e)[:400]}")
        return "FAIL"


def produce_matrix(check, scope, gw):
    say("produce       acks   " + " ".join(f"{c:>7}" for c in CODECS))
    for client in PRODUCERS:
        for acks in ACKS:
            row = [cell(check, scope, gw, client, codec, acks) for codec in CODECS]
            say(f"{client:<13} {acks:<6} " + " ".join(f"{r:>7}" for r in row))
            check.that("FAIL" not in row, f"{client} produced with acks={acks} and every codec")


def check_values(check, lines):
    """Every message of every cell is in the log as often as it was sent."""
    got = Counter(line.split(b" ", 2)[2].decode(errors="replace") for line in lines)
    for client in PRODUCERS:
        lost = extra = 0
        for acks in ACKS:
            for codec in CODECS:
                cell_values = values(client, codec, acks)
                if client == "perf":
                    found = sum(got[v] for v in set(cell_values))
                    lost, extra = lost + max(0, MESSAGES - found), extra + max(0, found - MESSAGES)
                else:
                    lost += sum(got[v] == 0 for v in cell_values)
                    extra += sum(max(0, got[v] - 1) for v in cell_values)
        check.equal((lost, extra), (0, 0), f"{client}: every message of 15 cells stored exactly once")


def check_offsets(check, scope, gw, ends):
    for at, want in ((-1, ends), (-2, dict.fromkeys(ends, 0))):
        r = java(scope, GET_OFFSETS, "--bootstrap-server", gw.bootstrap, "--topic", TOPIC, "--time", at)
        got = {int(p): int(o) for _, p, o in (line.split(":") for line in r.stdout.decode().split())}
        check.equal(got, want, f"GetOffsetShell --time {at}")


def main():
    need_root()
    need_jars()
    need_venv()
    check = Checks()
    with Scope("t3") as scope:
        pair = Pair(scope, "t3")
        gw = Daemon(scope, ports=[pair.port("af_packet")],
                    listeners=[listener("syslog", "lan0", "syslog", TOPIC, 5514, key="source")],
                    topics=[topic(TOPIC, PARTITIONS, compression_type="producer", segment_bytes=16 << 20)])
        gw.start()
        sender = Sender(scope, pair, 5514, rate=UDP_RATE, size=150)
        produce_matrix(check, scope, gw)
        sent = sender.stop()
        led = gw.wait_settled()
        ends = gw.ends(TOPIC)
        total = sum(ends.values())
        say(f"the topic holds {total} records, {led['appended']} of {sent} datagrams among them")
        check.equal(total, led["appended"] + len(PRODUCERS) * len(ACKS) * len(CODECS) * MESSAGES,
                    "records in the topic = UDP + 15 cells of each client")
        check_offsets(check, scope, gw, ends)
        reference = None
        for client, read in CONSUMERS.items():
            lines = sorted(read(scope, gw, ends))
            reference = reference or lines
            check.equal(len(lines), total, f"consume {client}: every record of {PARTITIONS} partitions")
            check.that(lines == reference, f"consume {client}: the same offsets and bytes as the others")
        check_values(check, reference)
        check.equal(gw.stop()[0], 0, "clean stop")
    check.finish()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Key rules and record headers, as an unmodified client reads them.

One daemon with a listener for each: syslog keyed by host, with every header; raw keyed by bytes of
the payload; raw without key. What kcat prints - headers, key, partition - is compared with what was
sent; what a message's headers are is written down beside it here, by hand from RFC 5424, 3164 and 5427.
"""

from sltest import Checks, Scope, frames, need_root, say
from sltest.corpus import write
from sltest.daemon import Daemon, listener, show_ledger, topic
from sltest.kafka import kcat
from sltest.load import Sender
from sltest.murmur2 import partition
from sltest.netns import Pair

PARTITIONS = 5
SYSLOG, SLICE, NONE = 5514, 5600, 5601
FIELDS = ("facility", "severity", "host", "app", "time")

# (message, its headers, None for one that is not there); the key is the host, or the sender
MESSAGES = [
    (b'<165>1 2003-08-24T05:14:15.000003-07:00 plc-7 app1 8710 ID1 [x@1 k="v"] all fields',
     ("local4", "notice", "plc-7", "app1", "2003-08-24T05:14:15.000003-07:00")),
    (b"<0>1 2024-06-01T10:00:00Z ups-03 kernel - - - panic", ("kern", "emerg", "ups-03", "kernel", "2024-06-01T10:00:00Z")),
    (b"<191>1 - fe80::1 - - - - nothing but a host", ("local7", "debug", "fe80::1", None, None)),
    (b"<34>1 2024-06-01T10:00:01Z - su - - - no host: keyed by the sender", ("auth", "crit", None, "su", "2024-06-01T10:00:01Z")),
    (b"<34>Oct 11 22:14:15 mymachine su: 'su root' failed", ("auth", "crit", "mymachine", "su", "Oct 11 22:14:15")),
    (b"<13>Feb  5 17:32:18 cam-dock-07 motion[411]: zone 3", ("user", "notice", "cam-dock-07", "motion", "Feb  5 17:32:18")),
    (b"<87>Dec 31 23:59:59 fw-edge-1 cron[9]: tick", ("authpriv", "debug", "fw-edge-1", "cron", "Dec 31 23:59:59")),
]
HOSTS = [f"host-{i:02d}" for i in range(20)]


def syslog_wanted(source):
    """[(line, key, headers)]"""
    out = []
    for line, values in MESSAGES:
        out.append((line, values[2] or source, values))
    for i in range(400):
        host, pri = HOSTS[i % len(HOSTS)], i % 192
        out.append((b"<%d>1 2024-06-01T10:00:00Z %s gen %d - - line %d" % (pri, host.encode(), i, i), host,
                    (FACILITIES[pri // 8], SEVERITIES[pri % 8], host, "gen", "2024-06-01T10:00:00Z")))
    return out


FACILITIES = ("kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp audit console cron2 "
              "local0 local1 local2 local3 local4 local5 local6 local7").split()
SEVERITIES = "emerg alert crit err warning notice info debug".split()


def slice_wanted(source):
    """[(payload, key)]: bytes 4 to 11, or the sender if the payload is too short for them."""
    out = [(b"abcd%08d rest of it" % (i % 40), "%08d" % (i % 40)) for i in range(200)]
    return out + [(b"abcdefghijkl", "efghijkl"), (b"abcdefghijk", source), (b"x", source)]


def read(scope, gw, name, count):
    """[(partition, key length, key, headers, value)] as kcat prints them."""
    r = kcat(scope, gw, "-q", "-C", "-t", name, "-o", "beginning", "-c", count, "-f", r"%p|%K|%k|%h|%s\n")
    out = []
    for line in r.stdout.decode().splitlines():
        part, size, key, headers, value = line.split("|", 4)
        out.append((int(part), int(size), key, headers, value))
    return out


def as_printed(values):
    return ",".join(f"{n}={v}" for n, v in zip(FIELDS, values) if v is not None)


def compare(check, text, got, want):
    """Regardless of order between partitions."""
    got, want = sorted(got), sorted(want)
    for pair in [p for p in zip(got, want) if p[0] != p[1]][:3]:
        say(f"got {pair[0]}, want {pair[1]}")
    check.that(got == want, f"{text}: {len(want)} records")


def main():
    need_root()
    check = Checks()
    with Scope("keys") as scope:
        pair = Pair(scope, "key")
        gw = Daemon(scope, ports=[pair.port("af_packet")],
                    listeners=[listener("by-host", "lan0", "syslog", "hosts", SYSLOG, key="host", headers=list(FIELDS)),
                               listener("by-slice", "lan0", "raw", "slices", SLICE, key="payload[4:12]",
                                        headers=["source"]),
                               listener("no-key", "lan0", "raw", "bare", NONE, key="none")],
                    topics=[topic(n, PARTITIONS) for n in ("hosts", "slices", "bare")])
        gw.start()
        source = pair.sources[0]
        hosts, slices = syslog_wanted(source), slice_wanted(source)
        bare = [b"bare %d" % i for i in range(200)]
        total = 0
        for port, name, lines in ((SYSLOG, "hosts", [h[0] for h in hosts]), (SLICE, "slices", [s[0] for s in slices]),
                                  (NONE, "bare", bare)):
            sent = Sender(scope, pair, port, [source], lines=[write(scope.path(name), lines)], rate=2000).wait()
            check.equal(sent, len(lines), f"{name}: {sent} sent")
            gw.wait_records(name, len(lines))
            total += len(lines)
        led = gw.wait_settled()
        show_ledger(led)
        check.equal((dict(frames.ledger_rows(led)), led["appended"]), ({"accepted": total}, total), "the ledger has them all")

        compare(check, "syslog by host: headers, key, partition, value", read(scope, gw, "hosts", len(hosts)),
                [(partition(k.encode(), PARTITIONS), len(k), k, as_printed(h), line.decode()) for line, k, h in hosts])
        compare(check, "raw by payload[4:12]: header, key, partition, value", read(scope, gw, "slices", len(slices)),
                [(partition(k.encode(), PARTITIONS), len(k), k, f"source={source}", p.decode()) for p, k in slices])
        got = read(scope, gw, "bare", len(bare))
        compare(check, "raw without key: null key, no headers, value", [r[1:] for r in got],
                [(-1, "", "", p.decode()) for p in bare])
        check.that(all(0 <= r[0] < PARTITIONS for r in got), f"in partitions {sorted({r[0] for r in got})}")
        check.equal(gw.stop()[0], 0, "clean stop")
    check.finish()


if __name__ == "__main__":
    main()

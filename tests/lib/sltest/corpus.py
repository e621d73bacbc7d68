# SPDX-License-Identifier: Apache-2.0
"""Log lines to send: the real ones of the shared folder if it is there, and generated ones.

The generated corpus has the shapes of the real one (system logs without PRI, web server errors,
application logs with stack frames) and of what devices send (RFC 5424, RFC 3164, JSON, binary
bytes, broken headers), from a printed seed.
"""

import glob
import os
import random

from .base import SHARED, say

HOSTS = ("combo", "LabSZ", "plc-west-2", "cam-dock-07", "ups-03", "hvac-roof", "fw-edge-1")
USERS = ("root", "admin", "webmaster", "pgadmin", "oracle", "ubnt", "guest")
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
CLASSES = ("mapreduce.v2.app.MRAppMaster", "ipc.Server", "yarn.event.AsyncDispatcher", "hdfs.DFSClient")


def real_files():
    return sorted(glob.glob(os.path.join(SHARED, "logs", "*.log")))


def read_lines(path):
    """A datagram is the line without its CR LF, byte for byte."""
    with open(path, "rb") as f:
        data = f.read()
    lines = data.split(b"\n")
    if lines and lines[-1] == b"":
        lines.pop()
    return [line.rstrip(b"\r\n") for line in lines]


def _stamp(r):
    return f"{r.choice(MONTHS)} {r.randint(1, 28):2d} {r.randint(0, 23):02d}:{r.randint(0, 59):02d}:{r.randint(0, 59):02d}"


def _ip(r):
    return ".".join(str(r.randint(1, 254)) for _ in range(4))


def _linux(r):
    return (f"{_stamp(r)} {r.choice(HOSTS)} sshd(pam_unix)[{r.randint(300, 32000)}]: authentication failure; "
            f"logname= uid=0 euid=0 tty=NODEVssh ruser= rhost={_ip(r)}  user={r.choice(USERS)}").encode()


def _openssh(r):
    return (f"{_stamp(r)} LabSZ sshd[{r.randint(300, 32000)}]: Failed password for invalid user "
            f"{r.choice(USERS)} from {_ip(r)} port {r.randint(1024, 65535)} ssh2").encode()


def _apache(r):
    return (f"[Sun {_stamp(r)} 2005] [error] mod_jk child workerEnv in error state {r.randint(1, 9)}").encode()


def _hadoop(r):
    tail = "".join(f" at org.apache.hadoop.{r.choice(CLASSES)}(Unknown:{r.randint(1, 999)})"
                   for _ in range(r.randint(0, 9)))
    return (f"2015-10-18 18:{r.randint(0, 59):02d}:{r.randint(0, 59):02d},{r.randint(0, 999):03d} "
            f"{r.choice(('INFO', 'WARN', 'ERROR'))} [main] org.apache.hadoop.{r.choice(CLASSES)}: "
            f"attempt_{r.getrandbits(40)}_m_{r.randint(0, 99):06d}{tail}").encode()


def _rfc5424(r):
    return (f"<{r.randint(0, 191)}>1 2024-06-{r.randint(1, 28):02d}T{r.randint(0, 23):02d}:00:{r.randint(0, 59):02d}."
            f"{r.randint(0, 999):03d}Z {r.choice(HOSTS)} app{r.randint(1, 9)} {r.randint(1, 9999)} ID{r.randint(1, 99)} "
            f"[meta@32473 seq=\"{r.getrandbits(24)}\" q=\"a\\\"b\\]c\"] temperature={r.uniform(-40, 90):.2f}").encode()


def _rfc3164(r):
    return (f"<{r.randint(0, 191)}>{_stamp(r)} {r.choice(HOSTS)} kernel: eth0: link is "
            f"{r.choice(('up', 'down'))}, {r.choice((10, 100, 1000))} Mbps").encode()


def _json(r):
    return (f"{{\"device\":\"s-{r.randint(1, 400):04d}\",\"t\":{r.uniform(-20, 60):.3f},"
            f"\"rh\":{r.uniform(5, 99):.1f},\"n\":{r.getrandbits(31)}}}").encode()


def _odd(r):
    """What must be stored as received all the same."""
    body = bytes(b for b in r.randbytes(r.randint(1, 200)) if b not in b"\r\n") or b"\x00"
    return r.choice((b"", b"<", b"<999>", b"<13>", b"<13>1 ", b"<034>1 - - - - - -", b"\xef\xbb\xbf",
                     b"<13>Feb 31 25:61:61 host x: y", b"<13>1 2024-02-30T00:00:60Z h a - - [unterminated")) + body


SHAPES = (_linux, _openssh, _apache, _hadoop, _rfc5424, _rfc3164, _json, _odd)


def generated(seed, count):
    say(f"generated corpus: seed {seed}, {count} lines")
    r = random.Random(seed)
    return [SHAPES[i % len(SHAPES)](r) for i in range(count)]


def write(path, lines):
    with open(path, "wb") as f:
        f.write(b"\n".join(lines) + b"\n")
    return path

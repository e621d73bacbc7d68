# SPDX-License-Identifier: Apache-2.0
"""What publishers see when sluiced is away, stands still, or has no room: never an acknowledgement.

Raw MQTT, so that each byte that comes back is known. In mosquitto 2.0 the only refusal that is honest
for MQTT 3.1.1 and 5 is to close the connection; MQTT 5 clients are told 0x80 first. Nobody is held
up for longer than one bound, and everything goes on without a restart of mosquitto.
"""

import os
import signal
import socket
import struct
import time

from sltest import SLOW, Checks, Scope, say, wait_for
from sltest.daemon import Daemon
from sltest.mosquitto import Mosquitto

BOUND_S = 0.4


class Client:
    """One connection, MQTT 4 or 5. What comes back is a list of packets."""

    def __init__(self, port, name, version=4):
        self.version, self.mid, self.rest = version, 0, b""
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=10 * SLOW)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = b"\0\4MQTT" + bytes([version, 2]) + b"\0\x3c" + (b"\0" if version == 5 else b"")
        self.send(0x10, body + struct.pack(">H", len(name)) + name.encode())
        assert self.packet()[0] == 0x20

    def send(self, kind, body):
        n, head = len(body), bytes([kind])
        while True:
            head += bytes([n % 128 | (0x80 if n > 127 else 0)])
            n //= 128
            if not n:
                break
        self.sock.sendall(head + body)

    def packet(self, timeout=10.0):
        """(first byte, body); None when the connection ends."""
        self.sock.settimeout(timeout * SLOW)
        while True:
            if len(self.rest) >= 2 and len(self.rest) >= 2 + self.rest[1]:  # all of them are short
                kind, n = self.rest[0], self.rest[1]
                body, self.rest = self.rest[2:2 + n], self.rest[2 + n:]
                return kind, body
            try:
                data = self.sock.recv(4096)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self.rest += data

    def publish(self, topic, value, qos, retain=False):
        self.mid += 1
        body = struct.pack(">H", len(topic)) + topic.encode() + (struct.pack(">H", self.mid) if qos else b"")
        self.send(0x30 | qos << 1 | retain, body + (b"\0" if self.version == 5 else b"") + value)

    def subscribe(self, topic):
        self.mid += 1
        self.send(0x82, struct.pack(">HH", self.mid, len(topic)) + topic.encode() + b"\0")
        assert self.packet()[0] == 0x90

    def acked(self, topic, value, qos):
        """True if it is acknowledged to the end; else what came instead."""
        self.publish(topic, value, qos)
        got = self.packet()
        if qos == 2 and got and got[0] == 0x50:
            self.send(0x62, struct.pack(">H", self.mid))
            got = self.packet()
        return got is not None and got[0] in (0x40, 0x70) or got

    def close(self):
        self.sock.close()


def outcomes(broker, name, topic):
    """{(version, QoS): what a publisher gets}; each on a connection of its own."""
    out = {}
    for version in (4, 5):
        for qos in (1, 2):
            c = Client(broker.port, f"{name}{version}{qos}", version)
            first = c.acked(topic, b"x", qos)
            out[version, qos] = first if first in (True, None) else (first[0], first[1][:1])
            c.close()
    return out


CLOSED = {(4, 1): None, (4, 2): None, (5, 1): (0xe0, b"\x80"), (5, 2): (0xe0, b"\x80")}
STORED = {k: True for k in CLOSED}


def attached(gw):
    return any(b["plugin"] and b["connected"] for b in gw.status()["mqtt"]["brokers"])


def away(check, gw, broker):
    """sluiced is not there: at once, both versions; QoS 0 goes on in the broker and is counted."""
    sub, before = Client(broker.port, "sub"), gw.status()["mqtt"]["pushed_back"]
    sub.subscribe("in/#")
    gw.stop()
    wait_for("the plugin to see it", lambda: "sluiced has left" in broker.log_text())
    began = time.monotonic()
    check.equal(outcomes(broker, "away", "in/1"), CLOSED, "sluiced away: closed without an ack, MQTT 5 told 0x80")
    check.that(time.monotonic() - began < BOUND_S * SLOW, "nobody waits for who is not there")
    zero = Client(broker.port, "zero")
    for n in range(100):
        zero.publish("in/0", b"%d" % n, 0)
    check.equal([sub.packet()[1][6:] for _ in range(100)], [b"%d" % n for n in range(100)],
                "QoS 0 goes on in the broker")
    gw.start()
    wait_for("the plugin to attach", lambda: attached(gw))
    wait_for("its figures", lambda: gw.status()["mqtt"]["lost_qos0"] >= 100)
    m = gw.status()["mqtt"]
    check.equal((m["lost_qos0"], m["pushed_back"] - before, m["waits_expired"]), (100, 4, 0), "QoS 0 counted lost, the rest pushed back")
    check.equal(outcomes(broker, "back", "in/2"), STORED, "sluiced is back: all goes on, mosquitto was not restarted")
    zero.close()
    sub.close()


def frozen(check, gw, broker):
    """SIGSTOP: one bound, then refused at once; others are not held up; SIGCONT: on it goes."""
    before = gw.status()["mqtt"]
    other, sub = Client(broker.port, "other"), Client(broker.port, "sub2")
    sub.subscribe("local/#")
    c = Client(broker.port, "frozen")
    os.kill(gw.process.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        check.equal(c.acked("in/3", b"x", 1), None, "sluiced frozen: closed without an ack")
        took = time.monotonic() - began
        check.that(BOUND_S * 0.9 < took < BOUND_S * 1.5 * SLOW + 0.2, f"after one bound of {BOUND_S} s: {took:.3f} s")
        began = time.monotonic()
        for k in range(5):
            check.equal(outcomes(broker, f"f{k}-", "in/3"), CLOSED, f"then at once, {k + 1}")
        check.that(time.monotonic() - began < BOUND_S * 2 * SLOW, f"20 refusals in {time.monotonic() - began:.3f} s")
        slowest = 0
        for n in range(50):
            began = time.monotonic()
            other.publish("local/x", b"%d" % n, 0)
            sub.packet()
            slowest = max(slowest, time.monotonic() - began)
        check.that(slowest < BOUND_S * SLOW, f"another client's messages take at most {slowest * 1000:.1f} ms")
    finally:
        os.kill(gw.process.pid, signal.SIGCONT)
    wait_for("acknowledgements to go on", lambda: outcomes(broker, "thaw", "in/4") == STORED, step=0.1)
    m = wait_for("its figures", lambda: gw.status()["mqtt"])
    check.that(m["waits_expired"] - before["waits_expired"] >= 1, "the wait that ran out is counted")
    check.that("sluiced moves again" in broker.log_text(), "mosquitto's log says so")
    for x in (other, sub, c):
        x.close()


def refused(check, gw, broker):
    """No rule: acknowledged, counted. Too large for the topic: refused by name."""
    before = gw.status()["mqtt"]
    check.equal(outcomes(broker, "nomatch", "elsewhere/1"), STORED, "no rule: acknowledged as any broker would")
    c = Client(broker.port, "large")
    check.equal(c.acked("in/large", b"x" * 60000, 1), None, "too large for its topic: closed without an ack")
    c = Client(broker.port, "retain")
    c.publish("cmd/1", b"x", 1, retain=True)
    check.equal(c.packet()[0], 0x40, "a retained one that is skipped is acknowledged")

    def grown():
        m = gw.status()["mqtt"]
        return (m["skipped"]["no_match"] - before["skipped"]["no_match"],
                m["refused"]["too_large"] - before["refused"]["too_large"],
                m["skipped"]["retained"] - before["skipped"]["retained"]) == (4, 1, 1) \
            and m["difference"] == 0 and m["pushed_back"] == 1
    wait_for("each to be counted under its reason", grown)
    check.that(True, "each is counted under its own reason, and the books close")
    c.close()


def main():
    check = Checks()
    with Scope("mqttback") as scope:
        path = scope.path("mqtt.sock")
        gw = Daemon(scope, "back", ports=[], listeners=[], topics=[{"name": "in", "partitions": 2,
                                                                    "config": {"max.message.bytes": 50000}}],
                    extra={"mqtt": {"socket": path, "map": [
                        {"filter": "in/#", "topic": "in", "key": "{client}"},
                        {"filter": "cmd/#", "topic": "cmd", "retained": "skip"}]}})
        gw.start()
        broker = Mosquitto(scope, path, options=[f"wait {int(BOUND_S * 1000)}ms"])
        wait_for("the plugin to attach", lambda: attached(gw))
        check.equal(outcomes(broker, "first", "in/0"), STORED, "all is well: acknowledged")
        refused(check, gw, broker)
        away(check, gw, broker)
        frozen(check, gw, broker)
        say(f"      {gw.status()['mqtt']}")
        check.equal(gw.stop()[0], 0, "sluiced stops cleanly")
    check.finish()


if __name__ == "__main__":
    main()

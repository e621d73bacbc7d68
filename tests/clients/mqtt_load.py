# SPDX-License-Identifier: Apache-2.0
"""paho publishers at a steady rate until SIGTERM; writes down what was acknowledged.

mqtt_load.py PORT PUBLISHERS RATE TOPIC QOS[,QOS] VERSION(3|4|5) ANSWERS

RATE is of all together. Publisher p sends messages.value_of("m<p>", n) for n = 0, 1, ... to TOPIC, in
which {p} is its number, and has QoS by turns. ANSWERS gets "ok p n" for each PUBACK or PUBCOMP, at
last "end sent acknowledged reconnects". A publisher has at most 20 unacknowledged messages and
sends them again, as paho does, when its connection was lost. Exit 0 if all was acknowledged.
"""

import signal
import sys
import threading
import time

import paho.mqtt.client as mqtt

from messages import value_of

INFLIGHT = 20
LAST_ACKS_S = 60


class Publisher:
    def __init__(self, number, port, topic, qos, version, out, lock):
        self.tag, self.qos, self.out, self.lock = f"m{number}", qos, out, lock
        self.number, self.topic = number, topic.replace("{p}", str(number))
        self.sent = self.acked = self.connects = 0
        self.open = {}  # paho's message id -> our number
        self.early = set()
        own = {} if version == 5 else {"clean_session": False}
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"dev-{number}", protocol=version, **own)
        self.client.max_inflight_messages_set(INFLIGHT)
        self.client.reconnect_delay_set(1, 2)
        self.client.on_publish = self._acked
        self.client.on_connect = self._connected
        self.client.connect_async("127.0.0.1", port, keepalive=20)
        self.client.loop_start()

    def _connected(self, *_):
        self.connects += 1

    def _acked(self, _client, _data, mid, *_):
        with self.lock:
            n = self.open.pop(mid, None)
            if n is None:  # before publish() has returned its id
                self.early.add(mid)
            else:
                self._write(n)

    def _write(self, n):
        self.acked += 1
        self.out.write(f"ok {self.number} {n}\n")

    def due(self, want):
        """Sends what is due, as far as the window allows."""
        while self.sent < want and len(self.open) < INFLIGHT and self.client.is_connected():
            n = self.sent
            mid = self.client.publish(self.topic, value_of(self.tag, n), qos=self.qos[n % len(self.qos)]).mid
            self.sent += 1
            with self.lock:
                if mid in self.early:
                    self.early.discard(mid)
                    self._write(n)
                else:
                    self.open[mid] = n


def main():
    port, count, rate, topic, qos, version, answers = sys.argv[1:8]
    going = [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    out, lock = open(answers, "w", buffering=1 << 16), threading.RLock()
    all_of_them = [Publisher(p, int(port), topic, [int(q) for q in qos.split(",")], int(version), out, lock)
                   for p in range(int(count))]
    began = time.monotonic()
    while going:
        want = int((time.monotonic() - began) * float(rate) / len(all_of_them))
        for p in all_of_them:
            p.due(want)
        with lock:
            out.flush()
        time.sleep(0.01)
    end = time.monotonic() + LAST_ACKS_S
    while any(p.open for p in all_of_them) and time.monotonic() < end:
        time.sleep(0.05)
    for p in all_of_them:
        p.client.disconnect()
        p.client.loop_stop()
    sent, acked = sum(p.sent for p in all_of_them), sum(p.acked for p in all_of_them)
    out.write(f"end {sent} {acked} {sum(p.connects - 1 for p in all_of_them)}\n")
    out.close()
    sys.exit(0 if sent == acked else 1)


if __name__ == "__main__":
    main()

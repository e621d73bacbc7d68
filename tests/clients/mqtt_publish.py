# SPDX-License-Identifier: Apache-2.0
"""paho publishers that each send so many messages and write down what was acknowledged.

mqtt_publish.py PORT ANSWERS RATE INFLIGHT NAME:TOPIC:QOS:VERSION:COUNT ...

A publisher sends messages.value_of(NAME, n) for n = 0 .. COUNT-1 to TOPIC, RATE a second of all
together (0: as fast as it goes), with at most INFLIGHT unacknowledged. ANSWERS gets "ok NAME n" for
each PUBACK or PUBCOMP (QoS 0: when the library has it), at last "end NAME reconnects". A lost connection
is made again after 0.1 to 1 s, and paho sends what was not acknowledged once more: that is all the
retrying there is. Exit 0 if all was acknowledged.
"""

import sys
import threading
import time

import paho.mqtt.client as mqtt

from messages import value_of

LAST_ACKS_S = 60


class Publisher:
    def __init__(self, port, inflight, out, lock, spec):
        self.name, self.topic, qos, version, count = spec.split(":")
        self.qos, self.count, self.inflight = int(qos), int(count), inflight
        self.out, self.lock = out, lock
        self.sent = self.acked = self.connects = 0
        self.open, self.early = {}, set()  # paho's message id -> our number; acked before we knew it
        own = {} if version == "5" else {"clean_session": False}
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=self.name, protocol=int(version), **own)
        self.client.max_inflight_messages_set(inflight)
        self.client.reconnect_delay_set(0.1, 1)
        self.client.on_publish, self.client.on_connect = self._acked, self._connected
        self.client.connect_async("127.0.0.1", port, keepalive=20)
        self.client.loop_start()

    def _connected(self, *_):
        self.connects += 1

    def _acked(self, _client, _data, mid, *_):
        with self.lock:
            n = self.open.pop(mid, None)
            if n is None and self.qos:
                self.early.add(mid)
            elif n is not None:
                self._write(n)

    def _write(self, n):
        self.acked += 1
        self.out.write(f"ok {self.name} {n}\n")

    def send(self, share):
        """Up to `share` of its messages, as far as the window allows."""
        while self.sent < min(share * self.count, self.count) and len(self.open) < self.inflight \
                and self.client.is_connected():
            n = self.sent
            self.sent += 1
            mid = self.client.publish(self.topic, value_of(self.name, n), qos=self.qos).mid
            with self.lock:
                if mid in self.early or not self.qos:  # what QoS 0 loses, it loses without a word
                    self.early.discard(mid)
                    self._write(n)
                else:
                    self.open[mid] = n

    def done(self):
        return self.acked == self.count


def main():
    port, answers, rate, inflight, *specs = sys.argv[1:]
    out, lock = open(answers, "w", buffering=1 << 16), threading.RLock()
    all_of_them = [Publisher(int(port), int(inflight), out, lock, s) for s in specs]
    total, began, quiet, last = sum(p.count for p in all_of_them), time.monotonic(), time.monotonic(), -1
    while not all(p.done() for p in all_of_them):
        elapsed = time.monotonic() - began
        for p in all_of_them:
            p.send(elapsed * float(rate) / total if float(rate) else 1)
        with lock:
            out.flush()
        acked = sum(p.acked for p in all_of_them)
        if acked != last:
            last, quiet = acked, time.monotonic()
        elif time.monotonic() - quiet > LAST_ACKS_S:
            break
        time.sleep(0.002)
    for p in all_of_them:
        p.client.disconnect()
        p.client.loop_stop()
        out.write(f"end {p.name} {p.connects - 1}\n")
    out.close()
    sys.exit(0 if all(p.done() for p in all_of_them) else 1)


if __name__ == "__main__":
    main()

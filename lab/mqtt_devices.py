#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lab's MQTT devices: machines of the same plant that publish their state and take commands.

    mqtt_devices.py --to ADDRESS [--seed N]

Started inside the namespace of the devices; each has an address and a connection of its own (MQTT 5).
States go out twice a second with QoS 1, now and then an alarm. A device listens to
devices/NAME/cmd and answers, if the command names a response topic, with the command's correlation
data. Ends with SIGTERM, SIGINT or its parent.
"""

import argparse
import ctypes
import json
import random
import signal
import sys
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PORT, KEEP_ALIVE_S = 1883, 30
PERIOD_S = 0.5
ALARM_SHARE = 0.01
PR_SET_PDEATHSIG = 1

# address, line, name, what it measures, unit, mean, noise
DEVICES = (
    ("10.77.0.41", "line-1", "valve-01", "opening", "%", 42.0, 1.5), ("10.77.0.42", "line-1", "valve-02", "opening", "%", 17.0, 1.5),
    ("10.77.0.43", "line-2", "chiller-01", "flow", "l/min", 310.0, 6.0), ("10.77.0.44", "line-2", "mixer-01", "torque", "Nm", 88.0, 3.0),
    ("10.77.0.45", "line-3", "wrapper-01", "speed", "1/min", 24.0, 0.4),
)


class Device:
    def __init__(self, r, to, address, line, name, what, unit, mean, noise):
        self.r, self.line, self.name, self.what, self.unit, self.mean, self.noise = r, line, name, what, unit, mean, noise
        self.n, self.target = 0, None
        # paho 2 wants to know whose callbacks these are; the ones used here look alike in both
        own = {"callback_api_version": mqtt.CallbackAPIVersion.VERSION2} if hasattr(mqtt, "CallbackAPIVersion") else {}
        self.client = mqtt.Client(client_id=name, protocol=mqtt.MQTTv5, **own)
        self.client.on_connect = self.connected
        self.client.on_message = self.command
        self.client.reconnect_delay_set(1, 5)
        self.client.connect_async(to, PORT, KEEP_ALIVE_S, bind_address=address)
        self.client.loop_start()

    def connected(self, *_):
        self.client.subscribe(f"devices/{self.name}/cmd", qos=1)

    def command(self, _client, _data, msg):
        """Does as it is told, and says so if somebody wants to hear it."""
        try:
            self.target = float(json.loads(msg.payload)["set"])
            answer = {"device": self.name, "done": True, "set": self.target}
        except (ValueError, KeyError, TypeError):
            answer = {"device": self.name, "done": False, "why": "expected {\"set\": NUMBER}"}
        to = getattr(msg.properties, "ResponseTopic", None)
        if to:
            properties = Properties(PacketTypes.PUBLISH)
            if hasattr(msg.properties, "CorrelationData"):
                properties.CorrelationData = msg.properties.CorrelationData
            self.client.publish(to, json.dumps(answer), qos=1, properties=properties)

    def step(self, wall):
        """One state; while the broker is away paho keeps the last ones and sends them again."""
        if not self.client.is_connected():
            return
        self.n += 1
        value = (self.mean if self.target is None else self.target) + self.r.gauss(0, self.noise)
        state = {"n": self.n, "ts": int(wall * 1000), self.what: round(value, 2), "unit": self.unit}
        properties = Properties(PacketTypes.PUBLISH)
        properties.ContentType = "application/json"
        self.client.publish(f"factory/{self.line}/{self.name}/state", json.dumps(state), qos=1, properties=properties)
        if self.r.random() < ALARM_SHARE:
            alarm = {"n": self.n, "text": f"{self.what} out of range", "value": round(value * 1.4, 2)}
            self.client.publish(f"factory/{self.line}/{self.name}/alarm", json.dumps(alarm), qos=2)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--to", required=True)
    ap.add_argument("--seed", type=int, default=1)
    args = ap.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, lambda *_: sys.exit(0))
    r = random.Random(args.seed)
    devices = [Device(r, args.to, *row) for row in DEVICES]
    while True:
        time.sleep(PERIOD_S)
        for d in devices:
            d.step(time.time())


if __name__ == "__main__":
    main()

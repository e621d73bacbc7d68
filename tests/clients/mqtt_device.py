# SPDX-License-Identifier: Apache-2.0
"""A device that obeys: an MQTT 5 subscriber that writes down each message and answers it.

mqtt_device.py PORT CLIENT_ID FILTER DIARY

DIARY gets a JSON line per message: topic, payload and correlation as hex, response topic, expiry
in seconds (null: none), user properties. A message with a response topic is answered there, QoS 1,
with its correlation data and payload "done " and the message's. "subscribed" is a line, too, once
per connection. Its session outlives a connection by an hour. Until SIGTERM.
"""

import json
import signal
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


def main():
    port, client_id, topics, diary = sys.argv[1:5]
    out = open(diary, "a", encoding="utf-8", buffering=1)

    def note(**kw):
        out.write(json.dumps(kw) + "\n")

    def on_connect(client, _data, _flags, _reason, _properties):
        client.subscribe(topics, qos=2)

    def on_subscribe(_client, _data, _mid, reasons, _properties):
        note(subscribed=[r.value for r in reasons])

    def on_message(client, _data, m):
        p = m.properties
        response = getattr(p, "ResponseTopic", None)
        correlation = getattr(p, "CorrelationData", None)
        note(topic=m.topic, payload=m.payload.hex(), qos=m.qos, retain=m.retain, response=response,
             correlation=None if correlation is None else correlation.hex(),
             expiry=getattr(p, "MessageExpiryInterval", None), user=getattr(p, "UserProperty", []),
             content_type=getattr(p, "ContentType", None))
        if response:
            back = Properties(PacketTypes.PUBLISH)
            if correlation is not None:
                back.CorrelationData = correlation
            client.publish(response, b"done " + m.payload, qos=1, properties=back)

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5)
    client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
    client.reconnect_delay_set(1, 1)
    keep = Properties(PacketTypes.CONNECT)
    keep.SessionExpiryInterval = 3600
    client.connect_async("127.0.0.1", int(port), keepalive=20, clean_start=False, properties=keep)
    signal.signal(signal.SIGTERM, lambda *_: client.disconnect())
    client.loop_forever(retry_first_connection=True)


if __name__ == "__main__":
    main()

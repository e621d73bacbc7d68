# SPDX-License-Identifier: Apache-2.0
"""confluent-kafka producing at a steady rate until SIGTERM; writes down every answer.

producer.py BOOTSTRAP TOPIC TAG ACKS IDEMPOTENT(0|1) RATE ANSWERS [NAME=VALUE librdkafka settings]

Message n is messages.value_of(TAG, n). ANSWERS gets a line per message:
"ok n partition offset" when it was acknowledged, "no n CODE NAME" when it failed for good. The
last line is "end sent acknowledged failed fatal". Exit 0 unless the client died of a fatal error.
"""

import signal
import sys
import time

from confluent_kafka import KafkaError, KafkaException, Producer

from messages import value_of


def main():
    bootstrap, topic, tag, acks, idempotent, rate, answers = sys.argv[1:8]
    going, fatal, counts = [True], [], {"ok": 0, "no": 0}
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    conf = {"bootstrap.servers": bootstrap, "acks": acks, "enable.idempotence": idempotent == "1", "linger.ms": 5,
            "message.timeout.ms": 120000, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200,
            "retry.backoff.ms": 50, "log_level": 2, "socket.timeout.ms": 10000, "queue.buffering.max.messages": 200000}
    conf.update(a.split("=", 1) for a in sys.argv[8:])
    conf["error_cb"] = lambda e: fatal.append(e) if e.fatal() else None
    p = Producer(conf)
    out = open(answers, "w", buffering=1 << 16)

    def answered(n):
        def cb(err, msg):
            if err is None:
                counts["ok"] += 1
                out.write(f"ok {n} {msg.partition()} {msg.offset()}\n")
            else:
                counts["no"] += 1
                out.write(f"no {n} {err.code()} {err.name()}\n")
        return cb

    began, n = time.monotonic(), 0
    while going and not fatal:
        due = int((time.monotonic() - began) * float(rate))
        while n < due and going:
            try:
                p.produce(topic, value_of(tag, n), key=f"{tag}-{n % 50}", on_delivery=answered(n))
                n += 1
            except BufferError:
                p.poll(0.05)
            except KafkaException as e:
                if e.args[0].code() == KafkaError._FATAL:
                    fatal.append(e.args[0])
                    break
                raise
        p.poll(0.005)
        out.flush()
    p.flush(60)
    out.write(f"end {n} {counts['ok']} {counts['no']} {len(fatal)}\n")
    out.close()
    for e in fatal:
        print(f"fatal: {e}", file=sys.stderr)
    sys.exit(1 if fatal else 0)


if __name__ == "__main__":
    main()

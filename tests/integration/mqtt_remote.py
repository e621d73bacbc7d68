# SPDX-License-Identifier: Apache-2.0
"""A broker elsewhere: a real mosquitto without the plugin, over TLS, that sluiced subscribes to.

1. A wrong password is said, and one that is put right is taken without a restart.
2. 10,000 QoS 1 messages, while the broker is restarted, sluiced is stopped for a while and killed -9:
   what the broker acknowledged to its publishers is in the log.
3. What the message event of a plugin never sees: $SYS and wills.
4. A certificate that is not the broker's is refused.
"""

import os
import subprocess

from sltest import RATE_DIV, Checks, Scope, free_port, need_root, say, wait_for
from sltest.base import end_process
from sltest.client import Client
from sltest.daemon import Daemon, topic
from sltest.kafka import need_venv
from sltest.mosquitto import Mosquitto, start_publishers

MESSAGES, RATE, PUBLISHERS = 10000 // RATE_DIV, 1500 // RATE_DIV, 10


def certificates(scope, name, host):
    """A CA and a certificate for a host that it signed; the files' paths by their kind."""
    d = scope.path(f"tls-{name}")
    os.makedirs(d)

    def run(*args):
        scope.run(["openssl", *args], cwd=d)
    run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
        "-subj", f"/CN=CA of {name}")
    run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "csr.pem", "-subj", f"/CN={host}")
    with open(f"{d}/ext", "w") as f:
        f.write(f"subjectAltName=DNS:{host}\n")
    run("x509", "-req", "-in", "csr.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "cert.pem",
        "-days", "2", "-extfile", "ext")
    return {k: f"{d}/{k}.pem" for k in ("ca", "cert", "key")}


def far(gw):
    return next(b for b in gw.status()["mqtt"]["brokers"] if b["name"] == "far")


def wait_connected(gw):
    wait_for("the connection to the broker", lambda: far(gw)["connected"], 60)


def acknowledged(path):
    with open(path) as f:
        text = f.read()
    return {tuple(map(int, line.split()[1:])) for line in text[:text.rfind("\n") + 1].splitlines()
            if line.startswith("ok ")}


def password(check, gw, secret):
    wait_for("a refusal", lambda: far(gw)["last_error"].startswith("refused"), 30)
    say(f"last error: {far(gw)['last_error']}")
    with open(secret, "w") as f:
        f.write("right\n")
    wait_connected(gw)
    check.that(True, "a password that was put right is taken without a restart")


def flow(check, scope, gw, broker):
    out = scope.path("acknowledged")
    load = start_publishers(scope, broker, out, publishers=PUBLISHERS, rate=RATE, topic="plant/{p}/state", qos="1",
                            version=5)
    def wait_acks(n):
        wait_for(f"{n} acknowledgements", lambda: os.path.exists(out) and len(acknowledged(out)) >= n, 120, step=0.2)
    wait_acks(MESSAGES // 5)
    broker.stop()
    broker.start()
    wait_acks(MESSAGES * 2 // 5)
    check.equal(gw.stop()[0], 0, "clean stop under load")
    wait_acks(MESSAGES * 3 // 5)
    gw.start()
    wait_acks(MESSAGES * 4 // 5)
    gw.kill()
    gw.start()
    wait_acks(MESSAGES)
    check.equal(end_process(load, 90), 0, "the publishers are done")
    acks = acknowledged(out)
    wait_connected(gw)
    client = Client(scope, gw.bootstrap)
    want = {f"m{p} {n}" for p, n in acks}

    def missing():
        got = {name(r["value"]) for r in client.show("telemetry")}
        return len(want - got), len(got)
    wait_for("all that was acknowledged to be in the log", lambda: missing()[0] == 0, 90, step=1)
    records = client.show("telemetry")
    say(f"{len(acks)} acknowledged, {len(records)} records: {len(records) - len({r['value'] for r in records})} twice")
    check.that(len(acks) >= MESSAGES, f"all of {len(acks)} acknowledged messages are in the log")
    headers = dict(records[0]["headers"])
    check.equal((headers["mqtt.client"], headers["mqtt.qos"], headers["mqtt.topic"].split(b"/")[0]),
                (b"far", b"1", b"plant"), "headers name broker, QoS and topic")
    check.equal(gw.status()["mqtt"]["lost_from_broker"], 0, "nothing was lost between acknowledgement and log")


def name(value):
    """The publisher's tag and number at the value's begin (messages.value_of)."""
    return " ".join(value.decode(errors="replace").split(" ")[:2])


def sys_and_wills(check, scope, gw, broker):
    client = Client(scope, gw.bootstrap)
    wait_for("a record of $SYS", lambda: gw.records("sys") > 0, 30)
    check.that(any(b"mosquitto" in r["value"] for r in client.show("sys")), "$SYS comes through a subscription")
    p = scope.popen(["mosquitto_sub", "-p", str(broker.port), "-t", "nothing/at/all", "-i", "doomed",
                     "--will-topic", "plant/doomed/will", "--will-payload", "m99 0 gone", "--will-qos", "1"],
                    stdout=subprocess.DEVNULL)
    wait_for("the doomed client's connection", lambda: "doomed" in open(broker.log_path, errors="replace").read())
    p.kill()
    wait_for("its will", lambda: any(r["value"] == b"m99 0 gone" for r in client.show("telemetry")), 30, step=0.5)
    check.that(True, "a will comes through a subscription")


def wrong_certificate(check, gw, other):
    gw.config["mqtt"]["brokers"][0]["tls"]["ca"] = other["ca"]
    gw.write_config()
    gw.stop()
    gw.start()
    wait_for("TLS to be refused", lambda: "certificate verify failed" in far(gw)["last_error"], 30)
    gw.config["mqtt"]["brokers"][0].update(host="127.0.0.1", tls={"ca": gw.right_ca})
    gw.write_config()
    gw.stop()
    gw.start()
    wait_for("the name to be refused", lambda: not far(gw)["connected"] and "TLS" in far(gw)["last_error"], 30)
    check.that(True, "another authority, and a certificate for another name, are refused")
    gw.config["mqtt"]["brokers"][0]["tls"]["insecure"] = True
    gw.write_config()
    gw.stop()
    gw.start()
    wait_connected(gw)
    check.that(True, "`insecure` leaves the name out")


def main():
    need_root()
    need_venv()
    check = Checks()
    with Scope("remote") as scope:
        tls, other = certificates(scope, "one", "localhost"), certificates(scope, "two", "localhost")
        secret, users, port = scope.path("secret"), scope.path("users"), free_port()
        with open(secret, "w") as f:
            f.write("wrong\n")
        os.chmod(secret, 0o600)
        scope.run(["mosquitto_passwd", "-b", "-c", users, "gateway", "right"])
        os.makedirs(scope.path("db"))
        broker = Mosquitto(scope, None, lines=[
            "persistence true", f"persistence_location {scope.path('db')}/", "max_queued_messages 0", "sys_interval 1",
            f"password_file {users}", f"listener {port} 127.0.0.1", f"cafile {tls['ca']}", f"certfile {tls['cert']}",
            f"keyfile {tls['key']}"])
        gw = Daemon(scope, ports=[], listeners=[], topics=[topic("telemetry", 4), topic("sys", 1)], extra={
            "mqtt": {"socket": scope.path("mqtt.sock"),
                     "map": [{"filter": "plant/{p}/#", "topic": "telemetry", "key": "{p}"},
                             {"filter": "$SYS/#", "topic": "sys"}],
                     "brokers": [{"name": "far", "host": "localhost", "port": port, "user": "gateway",
                                  "password_file": secret, "tls": {"ca": tls["ca"]},
                                  "subscribe": [{"filter": "plant/+/#", "qos": 1},
                                                {"filter": "$SYS/broker/version", "qos": 0}]}]},
        })
        gw.right_ca = tls["ca"]
        gw.start()
        password(check, gw, secret)
        flow(check, scope, gw, broker)
        sys_and_wills(check, scope, gw, broker)
        wrong_certificate(check, gw, other)
        check.equal(gw.status()["mqtt"]["difference"], 0, "the books close")
        check.equal(gw.stop()[0], 0, "clean stop")
    check.finish()


if __name__ == "__main__":
    main()

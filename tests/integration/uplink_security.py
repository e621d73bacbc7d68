# SPDX-License-Identifier: Apache-2.0
"""uplink.client is passed through: a centre over TLS with a client certificate's check, and over SASL with TLS.

The password comes from a file; a wrong one is told by name, and ingest goes on.
"""

import os

from sltest import Checks, Scope, wait_for
from sltest.client import Centre
from sltest.daemon import topic
from sltest.uplink import Box, check_book, compare

PASSWORD = "correct horse"


def make_certificates(scope):
    """A CA, a server certificate for the loopback and a client's; PKCS12 for the broker, PEM for librdkafka."""
    d = scope.path("certificates")
    os.makedirs(d)

    def openssl(*args):
        scope.run(["openssl", *args], cwd=d)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
            "-subj", "/CN=slt test CA")
    with open(f"{d}/ext", "w") as f:
        f.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for who in ("server", "client"):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{who}.key", "-out", f"{who}.csr", "-subj", f"/CN={who}")
        openssl("x509", "-req", "-in", f"{who}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-out", f"{who}.pem", "-extfile", "ext")
    openssl("pkcs12", "-export", "-in", "server.pem", "-inkey", "server.key", "-certfile", "ca.pem", "-out", "server.p12",
            "-passout", "pass:changeit", "-name", "server")
    return d


def listeners(tls):
    keys = {"ssl.keystore.location": f"{tls}/server.p12", "ssl.keystore.type": "PKCS12", "ssl.keystore.password": "changeit",
            "ssl.key.password": "changeit", "ssl.truststore.type": "PEM", "ssl.truststore.location": f"{tls}/ca.pem"}
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required " \
            f'user_gateway="{PASSWORD}" user_other="x";'
    return {"SSL": {**keys, "ssl.client.auth": "required"},
            "SASL_SSL": {**keys, "sasl.enabled.mechanisms": "PLAIN", "plain.sasl.jaas.config": login}}


def small(n):
    return [{"partition": i % 2, "key": f"k{i}", "value": f"record {i}"} for i in range(n)]


def carry(check, scope, centre, name, listener, client, **uplink):
    """Records through one listener arrive."""
    box = Box(scope, centre, [topic(f"{name}-logs", 2)], name=name, bootstrap=centre.addresses(listener),
              uplink={"client": client, **uplink})
    box.start()
    box.client.ask("produce", topic=f"{name}-logs", records=small(200))
    box.wait_drained(60)
    _, there = compare(check, box, [f"{name}-logs"], text=f"over {listener}")
    check_book(check, box, there.count)
    check.equal(box.stop()[0], 0, f"{name}: clean stop")


def refuse(check, scope, centre, tls, wrong):
    """A wrong password: said in the status, tried again; what came in is kept."""
    box = Box(scope, centre, [topic("denied", 2)], name="denied", bootstrap=centre.addresses("SASL_SSL"),
              uplink={"client": sasl(tls), "client_files": {"sasl.password": wrong}})
    box.start()
    box.client.ask("produce", topic="denied", records=small(50))
    told = wait_for("the refusal to be told", lambda: _about_login(box.uplink()), 40)
    check.that(told["state"] != "running", f"a wrong password: state {told['state']}, {told['last_error'][:120]!r}")
    check.equal(box.book()["backlog"], 50, "what came in is kept")
    with open(wrong, "w") as f:
        f.write(PASSWORD)
    box.wait_drained(120)
    _, there = compare(check, box, ["denied"], text="after the file was put right")
    check_book(check, box, there.count)
    box.stop()


def _about_login(up):
    return up if any(w in (up["last_error"] or "").lower() for w in ("authent", "sasl", "password")) else None


def sasl(tls):
    return {"security.protocol": "SASL_SSL", "ssl.ca.location": f"{tls}/ca.pem", "sasl.mechanism": "PLAIN",
            "sasl.username": "gateway"}


def main():
    check = Checks()
    with Scope("u") as scope:
        tls = make_certificates(scope)
        centre = Centre(scope, 1, listeners=listeners(tls))
        carry(check, scope, centre, "tls", "SSL",
              {"security.protocol": "SSL", "ssl.ca.location": f"{tls}/ca.pem", "ssl.certificate.location": f"{tls}/client.pem",
               "ssl.key.location": f"{tls}/client.key"})
        secret, wrong = scope.path("secret"), scope.path("wrong")
        for path, text in ((secret, PASSWORD), (wrong, "wrong")):
            with open(path, "w") as f:
                f.write(text + "\n")
            os.chmod(path, 0o600)
        carry(check, scope, centre, "sasl", "SASL_SSL", sasl(tls), client_files={"sasl.password": secret})
        refuse(check, scope, centre, tls, wrong)
    check.finish()


if __name__ == "__main__":
    main()

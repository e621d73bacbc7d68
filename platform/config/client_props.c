/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/config/client_props.h"

#define ONCE     "belongs to the uplink: exactly once needs it as it is"
#define LISTENS  "belongs to the uplink: it has to hear of every record"
#define POSITION "belongs to the uplink, which reads its positions that way"
#define WINDOW   "belongs to the uplink: use uplink.window"
#define PATIENCE "belongs to the uplink: a record waits in the log for as long as it takes"

/* Names and their older or newer twins, as in librdkafka's CONFIGURATION.md; and what people bring
 * from a Java client. */
static const struct {
	const char *name, *why;
} NOT[] = {
	{"bootstrap.servers", "belongs to the uplink: use uplink.bootstrap"},
	{"metadata.broker.list", "belongs to the uplink: use uplink.bootstrap"},
	{"transactional.id", "belongs to the uplink, which names it after gateway.id"},
	{"enable.idempotence", ONCE},
	{"enable.gapless.guarantee", ONCE},
	{"acks", ONCE},
	{"request.required.acks", ONCE},
	{"retries", ONCE},
	{"message.send.max.retries", ONCE},
	{"partitioner", "belongs to the uplink: a record keeps its partition"},
	{"message.timeout.ms", PATIENCE},
	{"delivery.timeout.ms", PATIENCE},
	{"queue.buffering.max.messages", WINDOW},
	{"queue.buffering.max.kbytes", WINDOW},
	{"delivery.report.only.error", LISTENS},
	{"produce.offset.report", LISTENS},
	{"group.id", POSITION},
	{"group.instance.id", POSITION},
	{"isolation.level", POSITION},
	{"auto.offset.reset", POSITION},
	{"enable.auto.commit", POSITION},
	{"enable.auto.offset.store", POSITION},
	{"enable.partition.eof", POSITION},
	{"plugin.library.paths", "would load foreign code into sluiced"},
	{"sasl.jaas.config", "is a Java client's: here it is sasl.username, and sasl.password in "
			     "client_files"},
	{"ssl.truststore.location", "is a Java client's: here it is ssl.ca.location, a PEM file"},
	{"ssl.truststore.password", "is a Java client's: ssl.ca.location needs none"},
	{"ssl.truststore.type", "is a Java client's: ssl.ca.location is a PEM file"},
	{"ssl.keystore.type", "is a Java client's: ssl.keystore.location is a PKCS#12 file"},
	{"key.serializer", "is a Java client's: records go as they are"},
	{"value.serializer", "is a Java client's: records go as they are"},
	{"ssl.key.pem", "has several lines: use ssl.key.location, the path of the file"},
};

static const char *const SECRETS[] = {"sasl.password", "ssl.key.password", "ssl.keystore.password",
				      "sasl.oauthbearer.client.secret"};
static const char *const PATHS[] = {"ssl.ca.location",  "ssl.certificate.location",
				    "ssl.key.location", "ssl.keystore.location",
				    "ssl.crl.location", "sasl.kerberos.keytab"};

const char *sl_client_why_not(const char *name)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(NOT); i++)
		if (!strcmp(NOT[i].name, name))
			return NOT[i].why;
	return NULL;
}

static bool among(const char *const *list, size_t cnt, const char *name)
{
	for (size_t i = 0; i < cnt; i++)
		if (!strcmp(list[i], name))
			return true;
	return false;
}

bool sl_client_is_secret(const char *name)
{
	return among(SECRETS, SL_ARRAY_SIZE(SECRETS), name);
}

bool sl_client_is_path(const char *name)
{
	return among(PATHS, SL_ARRAY_SIZE(PATHS), name);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* client_lib.c - the library's side of a connection: options, callbacks, properties. */
#include <errno.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <stdlib.h>

#include "client_priv.h"
#include "platform/base/log.h"
#include "platform/base/secret.h"

#define CA_DIR "/etc/ssl/certs" /* what the system trusts, where no `ca` is named */

int sl_mqclient_lib_init(void)
{
	return mosquitto_lib_init() == MOSQ_ERR_SUCCESS ? 0 : -ENOMEM;
}

void sl_mqclient_lib_fini(void)
{
	mosquitto_lib_cleanup();
}

/* The library's sentences end with a full stop; ours go on. */
static const char *plain(int rc, char buf[128])
{
	size_t n = (size_t)snprintf(buf, 128, "%.120s", mosquitto_strerror(rc));

	if (n && buf[n - 1] == '.')
		buf[n - 1] = 0;
	return buf;
}

void sl_mqclient_say(const struct sl_mqclient *c, int rc, char *err, size_t errlen)
{
	char buf[128];

	if (c->connack && c->connack_reason)
		snprintf(err, errlen, "refused: %s",
			 sl_mqclient_is_v5(c) ? mosquitto_reason_string(c->connack_reason)
					      : mosquitto_connack_string(c->connack_reason));
	else if (c->disconnect_reason)
		snprintf(err, errlen, "the broker says: %s",
			 mosquitto_reason_string(c->disconnect_reason));
	else if (rc == MOSQ_ERR_KEEPALIVE) /* 2.0.11 calls it unknown */
		snprintf(err, errlen, "the broker does not answer any more");
	else if (rc == MOSQ_ERR_ERRNO)
		snprintf(err, errlen, "%s", strerror(errno));
	else if (c->lib_error[0])
		snprintf(err, errlen, "%s: %.160s", plain(rc, buf), c->lib_error);
	else
		snprintf(err, errlen, "%s", plain(rc, buf));
}

/* ---- callbacks ------------------------------------------------------------------------------- */

static void on_connect(struct mosquitto *m, void *arg, int reason, int flags,
		       const mosquitto_property *props)
{
	struct sl_mqclient *c = arg;
	(void)m;
	(void)props;
	c->connack = true;
	c->connack_reason = reason;
	c->session = flags & 1;
}

static void on_disconnect(struct mosquitto *m, void *arg, int reason,
			  const mosquitto_property *props)
{
	struct sl_mqclient *c = arg;
	(void)m;
	(void)props;
	/* also called for the library's own codes, which are below */
	c->disconnect_reason = reason >= MQTT_RC_UNSPECIFIED ? reason : 0;
}

static void on_publish(struct mosquitto *m, void *arg, int mid, int reason,
		       const mosquitto_property *props)
{
	struct sl_mqclient *c = arg;
	(void)m;
	(void)props;
	if (c->cfg.acked)
		c->cfg.acked(c->cfg.arg, mid, (uint8_t)reason);
}

/* A filter that the broker does not let us have: the others go on. */
static void on_subscribe(struct mosquitto *m, void *arg, int mid, int cnt, const int *granted,
			 const mosquitto_property *props)
{
	struct sl_mqclient *c = arg;
	(void)m;
	(void)mid;
	(void)props;
	for (int i = 0; i < cnt; i++) {
		if (granted[i] < MQTT_RC_UNSPECIFIED)
			continue;
		sl_log(SL_LOG_ERROR, "mqtt", "broker %s refuses a subscription: %s",
		       c->cfg.broker->name, mosquitto_reason_string(granted[i]));
		pthread_mutex_lock(&c->lock);
		snprintf(c->stats.last_error, sizeof(c->stats.last_error),
			 "a subscription was refused: %s", mosquitto_reason_string(granted[i]));
		pthread_mutex_unlock(&c->lock);
	}
}

static void on_log(struct mosquitto *m, void *arg, int level, const char *text)
{
	struct sl_mqclient *c = arg;
	(void)m;
	if (level == MOSQ_LOG_ERR || level == MOSQ_LOG_WARNING)
		snprintf(c->lib_error, sizeof(c->lib_error), "%s", text);
}

/* The properties of a message in the ring's form; the library's copies are freed afterwards. */
struct props {
	char *text[2 * SL_RING_PROPS_MAX];
	void *binary[SL_RING_PROPS_MAX];
	unsigned text_cnt, binary_cnt;
};

static struct sl_slice keep_text(struct props *p, char *s)
{
	p->text[p->text_cnt++] = s;
	return (struct sl_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

/* True if it takes a place in m->prop. */
static bool take_prop(const mosquitto_property *at, struct props *p, struct sl_ring_msg *m,
		      unsigned i)
{
	int id = mosquitto_property_identifier(at);
	char *name = NULL, *value = NULL;
	void *bytes = NULL;
	uint16_t len = 0;

	switch (id) {
	case MQTT_PROP_CONTENT_TYPE:
	case MQTT_PROP_RESPONSE_TOPIC:
		if (!mosquitto_property_read_string(at, id, &value, false))
			return false;
		m->prop[i].value = keep_text(p, value);
		break;
	case MQTT_PROP_USER_PROPERTY:
		if (!mosquitto_property_read_string_pair(at, id, &name, &value, false))
			return false;
		m->prop[i].name = keep_text(p, name);
		m->prop[i].value = keep_text(p, value);
		break;
	case MQTT_PROP_CORRELATION_DATA:
		if (!mosquitto_property_read_binary(at, id, &bytes, &len, false))
			return false;
		p->binary[p->binary_cnt++] = bytes;
		m->prop[i].value =
			(struct sl_slice){bytes ? bytes : (const uint8_t *)"", bytes ? len : 0};
		break;
	default:
		return false;
	}
	m->prop[i].type = (uint8_t)id; /* the ring numbers them as MQTT does */
	return true;
}

_Static_assert((int)SL_RING_PROP_USER == (int)MQTT_PROP_USER_PROPERTY &&
		       (int)SL_RING_PROP_CORRELATION == (int)MQTT_PROP_CORRELATION_DATA &&
		       (int)SL_RING_PROP_RESPONSE_TOPIC == (int)MQTT_PROP_RESPONSE_TOPIC &&
		       (int)SL_RING_PROP_CONTENT_TYPE == (int)MQTT_PROP_CONTENT_TYPE,
	       "the specification's numbers");

static void take_props(const mosquitto_property *props, struct props *p, struct sl_ring_msg *m)
{
	uint8_t is_text = 0;

	for (const mosquitto_property *at = props; at; at = mosquitto_property_next(at)) {
		if (m->prop_cnt == SL_RING_PROPS_MAX)
			break;
		m->prop_cnt += take_prop(at, p, m, m->prop_cnt);
	}
	mosquitto_property_read_byte(props, MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, &is_text, false);
	if (is_text)
		m->flags |= SL_RING_F_UTF8;
	mosquitto_property_read_int32(props, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, &m->expiry_s,
				      false);
}

static void on_message(struct mosquitto *mosq, void *arg, const struct mosquitto_message *msg,
		       const mosquitto_property *props)
{
	struct sl_mqclient *c = arg;
	struct props p = {.text_cnt = 0};
	struct sl_ring_msg m = {
		.flags = msg->retain ? SL_RING_F_RETAIN : 0,
		.qos = (uint8_t)msg->qos,
		.version = (uint8_t)c->version,
		.topic = {(const uint8_t *)msg->topic, (uint32_t)strlen(msg->topic)},
		.payload = {msg->payload ? msg->payload : (const uint8_t *)"",
			    (uint32_t)msg->payloadlen},
	};

	(void)mosq;
	if (!c->cfg.message || c->state < SL_MQCLIENT_TCP)
		return; /* cut */
	take_props(props, &p, &m);
	c->cfg.message(c->cfg.arg, &m);
	for (unsigned i = 0; i < p.text_cnt; i++)
		free(p.text[i]);
	for (unsigned i = 0; i < p.binary_cnt; i++)
		free(p.binary[i]);
	errno = 0; /* the library asks it whether the socket was empty */
}

/* ---- options --------------------------------------------------------------------------------- */

/* Else OpenSSL would ask whoever sits at the terminal. */
static int no_password(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return 0;
}

static int set_tls(struct sl_mqclient *c, char *err, size_t errlen)
{
	const struct sl_cfg_tls *t = &c->cfg.broker->tls;
	const char *cert = t->cert[0] ? t->cert : NULL, *key = t->key[0] ? t->key : NULL;
	int rc;

	if (!t->on)
		return 0;
	rc = mosquitto_tls_set(c->m, t->ca[0] ? t->ca : NULL, t->ca[0] ? NULL : CA_DIR, cert, key,
			       no_password);
	if (!rc)
		rc = mosquitto_tls_insecure_set(c->m, t->insecure);
	if (!rc)
		return 0;
	snprintf(err, errlen, "TLS: a file of ca, cert or key cannot be read: %s",
		 mosquitto_strerror(rc));
	return -EINVAL;
}

static int set_login(struct sl_mqclient *c, char *err, size_t errlen)
{
	const struct sl_cfg_broker *b = c->cfg.broker;
	char secret[SL_SECRET_MAX + 1] = "";
	bool has = b->password_file[0];
	int rc;

	if (!b->user[0])
		return 0;
	err[0] = 0;
	rc = has ? sl_secret_read(b->password_file, secret, sizeof(secret), err, errlen) : 0;
	if (rc)
		return rc;
	if (err[0] && !c->life) /* once is enough */
		sl_log(SL_LOG_WARN, "mqtt", "broker %s: %s", b->name, err);
	rc = mosquitto_username_pw_set(c->m, b->user, has ? secret : NULL);
	explicit_bzero(secret, sizeof(secret));
	if (!rc)
		return 0;
	snprintf(err, errlen, "user: %s", mosquitto_strerror(rc));
	return -EINVAL;
}

static int make(struct sl_mqclient *c)
{
	if (c->m && c->cfg.subscribe)
		return 0; /* it knows of QoS 2 messages half way */
	mosquitto_destroy(c->m);
	c->m = mosquitto_new(c->id, !c->cfg.subscribe, c);
	if (!c->m)
		return -errno;
	mosquitto_connect_v5_callback_set(c->m, on_connect);
	mosquitto_disconnect_v5_callback_set(c->m, on_disconnect);
	mosquitto_publish_v5_callback_set(c->m, on_publish);
	mosquitto_subscribe_v5_callback_set(c->m, on_subscribe);
	mosquitto_message_v5_callback_set(c->m, on_message);
	mosquitto_log_callback_set(c->m, on_log);
	mosquitto_threaded_set(c->m, true); /* then it writes nothing by itself: client.h */
	mosquitto_int_option(c->m, MOSQ_OPT_TCP_NODELAY, c->cfg.broker->host[0] != '/');
	mosquitto_int_option(c->m, MOSQ_OPT_SEND_MAXIMUM, SL_MQCLIENT_WINDOW);
	mosquitto_int_option(c->m, MOSQ_OPT_RECEIVE_MAXIMUM, SL_MQCLIENT_RECEIVE_MAX);
	return 0;
}

int sl_mqclient_prepare(struct sl_mqclient *c, char *err, size_t errlen)
{
	int rc = make(c);

	if (rc) {
		snprintf(err, errlen, "client id %.100s: %s", c->id, strerror(-rc));
		return rc;
	}
	mosquitto_int_option(c->m, MOSQ_OPT_PROTOCOL_VERSION, c->version);
	rc = set_tls(c, err, errlen);
	return rc ? rc : set_login(c, err, errlen);
}

/* ---- CONNECT and SUBSCRIBE ------------------------------------------------------------------- */

static int connect_props(const struct sl_mqclient *c, mosquitto_property **ret)
{
	int rc = mosquitto_property_add_int32(ret, MQTT_PROP_MAXIMUM_PACKET_SIZE,
					      SL_MQCLIENT_PACKET_MAX);

	if (!rc && c->cfg.subscribe)
		rc = mosquitto_property_add_int32(ret, MQTT_PROP_SESSION_EXPIRY_INTERVAL,
						  c->cfg.broker->session_expiry_s);
	return rc;
}

int sl_mqclient_dial(struct sl_mqclient *c, char *err, size_t errlen)
{
	/* its first TLS connection sets up what all instances share, without a lock */
	static pthread_mutex_t one_by_one = PTHREAD_MUTEX_INITIALIZER;
	const struct sl_cfg_broker *b = c->cfg.broker;
	int port = b->host[0] == '/' ? 0 : b->port; /* so the library knows a Unix socket */
	mosquitto_property *props = NULL;
	int rc = 0;

	if (sl_mqclient_is_v5(c))
		rc = connect_props(c, &props);
	if (!rc) {
		/* Only the blocking call takes properties; it keeps them for later connects before
		 * it looks at the host's name. client_test.c sees them arrive. */
		rc = mosquitto_connect_bind_v5(c->m, NULL, port, b->keep_alive_s, NULL, props);
		pthread_mutex_lock(&one_by_one);
		rc = mosquitto_connect_async(c->m, b->host, port, b->keep_alive_s);
		pthread_mutex_unlock(&one_by_one);
	}
	mosquitto_property_free_all(&props);
	if (rc <= 0) /* also MOSQ_ERR_CONN_PENDING */
		return 0;
	sl_mqclient_say(c, rc, err, errlen);
	return -ECONNREFUSED;
}

int sl_mqclient_subscribe(struct sl_mqclient *c, char *err, size_t errlen)
{
	const struct sl_cfg_broker *b = c->cfg.broker;
	/* retained messages come once, not with every connection, and are told from live ones */
	int options = MQTT_SUB_OPT_SEND_RETAIN_NEW | MQTT_SUB_OPT_RETAIN_AS_PUBLISHED;
	int rc = 0;

	for (uint32_t i = 0; i < b->sub_cnt && !rc; i++)
		rc = mosquitto_subscribe_v5(c->m, NULL, b->sub[i].filter, SL_MIN(b->sub[i].qos, 1),
					    options, NULL);
	if (!rc)
		return 0;
	snprintf(err, errlen, "subscription: %s", mosquitto_strerror(rc));
	return -EIO;
}

/* ---- PUBLISH --------------------------------------------------------------------------------- */

/* The library wants strings. NULL: no memory, or a NUL among the bytes. */
static char *text_of(struct sl_slice s)
{
	if (memchr(s.p, 0, s.len))
		return NULL;
	return strndup((const char *)s.p, s.len);
}

static int add_text(mosquitto_property **props, int id, struct sl_slice s)
{
	if (!s.p)
		return MOSQ_ERR_SUCCESS;
	char *text = text_of(s);
	int rc = text ? mosquitto_property_add_string(props, id, text) : MOSQ_ERR_INVAL;
	free(text);
	return rc;
}

static int add_user(mosquitto_property **props, const struct sl_hdr *h)
{
	static const struct sl_slice empty = {(const uint8_t *)"", 0};
	char *name = text_of(h->name), *value = text_of(h->value.p ? h->value : empty);
	int rc = name && value ? mosquitto_property_add_string_pair(props, MQTT_PROP_USER_PROPERTY,
								    name, value)
			       : MOSQ_ERR_INVAL;
	free(name);
	free(value);
	return rc;
}

static int pub_props(const struct sl_mqclient_pub *p, mosquitto_property **props)
{
	int rc = add_text(props, MQTT_PROP_CONTENT_TYPE, p->content_type);

	if (!rc && p->expiry_s)
		rc = mosquitto_property_add_int32(props, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL,
						  p->expiry_s);
	if (!rc)
		rc = add_text(props, MQTT_PROP_RESPONSE_TOPIC, p->response_topic);
	if (!rc && p->correlation.p)
		rc = p->correlation.len > UINT16_MAX
			     ? MOSQ_ERR_INVAL
			     : mosquitto_property_add_binary(props, MQTT_PROP_CORRELATION_DATA,
							     p->correlation.p,
							     (uint16_t)p->correlation.len);
	for (uint32_t i = 0; i < p->user_cnt && !rc; i++)
		rc = add_user(props, &p->user[i]);
	return rc;
}

static int errno_of(int rc)
{
	switch (rc) {
	case MOSQ_ERR_SUCCESS:
		return 0;
	case MOSQ_ERR_NOMEM:
		return -ENOMEM;
	case MOSQ_ERR_OVERSIZE_PACKET:
	case MOSQ_ERR_PAYLOAD_SIZE:
		return -EMSGSIZE;
	case MOSQ_ERR_NO_CONN:
	case MOSQ_ERR_CONN_LOST:
		return -ENOTCONN;
	}
	return -EINVAL;
}

int sl_mqclient_publish(struct sl_mqclient *c, const struct sl_mqclient_pub *p, int *ret_mid)
{
	mosquitto_property *props = NULL;
	int rc = 0, qos = p->qos;

	if (!sl_mqclient_up(c))
		return -ENOTCONN;
	if (p->payload.len > (uint32_t)INT32_MAX)
		return -EMSGSIZE;
	if (sl_mqclient_is_v5(c))
		rc = pub_props(p, &props);
	if (!rc)
		do
			rc = mosquitto_publish_v5(c->m, ret_mid, p->topic, (int)p->payload.len,
						  p->payload.p, qos, p->retain, props);
		while (rc == MOSQ_ERR_QOS_NOT_SUPPORTED && qos-- > 0);
	mosquitto_property_free_all(&props);
	return errno_of(rc);
}

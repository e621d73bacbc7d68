/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin.h - what the handlers of admin requests share: they run in the worker pool from the first
 * byte of the body to the last of the answer, because they touch files.
 *
 * Those that change topics run one at a time, in the order of arrival over all connections: what
 * one of them has looked at does not change under it, and they never occupy more than one worker.
 */
#ifndef SL_BRIDGE_KAFKA_ADMIN_H
#define SL_BRIDGE_KAFKA_ADMIN_H

#include "conn.h"
#include "errors.h"

#define SL_KADMIN_MSG          512u   /* bytes of an error's sentence */
#define SL_KADMIN_NEW_PARTS    10000u /* partitions that one request may create: Kafka's limit */
#define SL_KADMIN_WORK_PER_REQ 128u   /* bytes of working memory per element, at most */

/*
 * Reads r->in and writes the whole answer, from sl_kreq_begin() on. A worker. 0; -EPROTO: the body
 * is malformed; -E2BIG: too many elements; -ENOMEM: these close the connection.
 */
typedef int (*sl_kadmin_fn)(struct sl_kreq *r);

enum sl_kadmin_kind { SL_KADMIN_READ, SL_KADMIN_CHANGE };

/* As sl_kapi_start_fn. Network thread. */
int sl_kadmin_start(struct sl_kreq *r, enum sl_kadmin_kind kind, sl_kadmin_fn run);

struct sl_kadmin_err { /* of one topic, partition or resource */
	int16_t code;
	bool said; /* msg is there, else null */
	char msg[SL_KADMIN_MSG];
};
/* Sets code and sentence. `fmt` NULL: none. */
void sl_kadmin_err(struct sl_kadmin_err *e, int16_t code, const char *fmt, ...) SL_PRINTF(3, 4);
/* Writes an error code of the answer (0: none), and notes it for the counter. */
void sl_kadmin_put_code(struct sl_kreq *r, int16_t code);
void sl_kadmin_put_msg(struct sl_kw *w, const struct sl_kadmin_err *e); /* NULLABLE_STRING */

/* Precision and bytes of a slice for "%.*s". */
#define SL_KSTR(s) (int)SL_MIN((s).len, 300u), (const char *)((s).p ? (s).p : (const uint8_t *)"")

/* Kafka's own topics, which come with their features and belong to them. Any thread. */
bool sl_ktopic_is_internal(const char *name, size_t len);
/* False: e says 17 and why, in Kafka's words (Topic.validate). */
bool sl_ktopic_name_ok(struct sl_slice name, struct sl_kadmin_err *e);
/* Kafka's metrics cannot tell '.' from '_': the name of a topic that differs in these only, copied
 * into ret_name; false: there is none. A worker. */
bool sl_ktopic_collides(struct sl_kserver *s, struct sl_slice name,
			char ret_name[SL_TOPIC_NAME_MAX + 1]);
/* The settings of a topic that is made now, and how many partitions it has if nobody says: what the
 * config file has for its name, else the defaults. */
uint32_t sl_ktopic_base(const struct sl_kserver *s, struct sl_slice name,
			struct sl_topic_layers *ret_layers);

/*
 * Reads the INT32 array of a manual assignment's brokers: exactly this node. False: e says 39 and
 * what is wrong, in Kafka's words. The caller has checked the structure.
 */
bool sl_kassignment_ok(const struct sl_kserver *s, struct sl_kr *in, struct sl_kadmin_err *e);

/* Sorts pointers to slices by content; equal ones are neighbours afterwards. */
void sl_kslices_sort(struct sl_slice **by, uint32_t n);
bool sl_kslice_same(struct sl_slice a, struct sl_slice b);

/* A name that a request asks for, the first member of what else it says of it. */
struct sl_kname {
	struct sl_slice name;
	bool again; /* stands there more than once: answered once, as an error */
	bool first; /* where it is answered */
};
/* Sets `again` and `first` of n items of `stride` bytes each. 0 or -ENOMEM. */
SL_MUST_CHECK int sl_knames_mark(void *items, size_t stride, uint32_t n);

/* Bits of AclOperation that there are, for a broker without an authorizer: all that make sense. */
#define SL_KOPS_UNKNOWN INT32_MIN /* nobody asked */
#define SL_KOPS_TOPIC   3576
#define SL_KOPS_CLUSTER 8096

/* Host and port that the connection's clients are told. */
const char *sl_kadmin_advertised(const struct sl_kreq *r, uint16_t *ret_port);

#endif

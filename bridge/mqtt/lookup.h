/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup.h - is there an address for this name? Asked by a thread of its own, because the resolver
 * cannot be told to stop: whoever asked may leave at any time, the thread ends by itself.
 *
 * libmosquitto asks again when it connects; it is called only when the answer is known to be there.
 */
#ifndef SL_BRIDGE_MQTT_LOOKUP_H
#define SL_BRIDGE_MQTT_LOOKUP_H

#include "sluice/base.h"

struct sl_lookup;

/* `efd` (an eventfd) is written when the answer is there; a copy of it is kept. -EMFILE, -ENOMEM,
 * -EAGAIN: no thread. Any thread. */
SL_MUST_CHECK int sl_lookup_new(const char *host, int efd, struct sl_lookup **ret_lookup);
/* True once it is over: *ret_gai is 0 or an error of getaddrinfo(3). The asking thread. */
bool sl_lookup_over(const struct sl_lookup *l, int *ret_gai);
/* Over or not. Accepts NULL. The asking thread. */
void sl_lookup_free(struct sl_lookup *l);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sock.h - the TCP side of the connections: between a socket and its machine (conn.h).
 *
 * What a machine has to say (`changed`) is collected and dealt with once per turn of the loop, so
 * that many answers leave in one system call. Network thread.
 */
#ifndef SL_BRIDGE_KAFKA_SOCK_H
#define SL_BRIDGE_KAFKA_SOCK_H

#include "conn.h"
#include "platform/net/loop.h"
#include "platform/net/tcp.h"

#define SL_KSOCK_STAGE (16u << 10) /* bytes read ahead of knowing whose they are */
#define SL_KSOCK_TURN  (1u << 20)  /* read from one socket in a turn, at most about */
#define SL_KSOCK_IOV   64

struct sl_ksock;
TAILQ_HEAD(sl_ksock_list, sl_ksock);

struct sl_ksocks { /* all of them; zeroed, then loop, server and max set */
	struct sl_loop *loop;
	struct sl_kserver *server;
	uint32_t max; /* connections */
	uint32_t cnt;
	bool stopping; /* nothing is read any more */
	struct sl_ksock_list all, dirty;
	uint8_t stage[SL_KSOCK_STAGE];
};

void sl_ksocks_init(struct sl_ksocks *ks);
/* Takes fd: makes a connection of it, or closes it when there are too many. */
void sl_ksocks_add(struct sl_ksocks *ks, int fd, const struct sl_tcp_addr *peer,
		   const struct sl_tcp_addr *local);
/* Deals with those that changed. True: there were some. */
bool sl_ksocks_flush(struct sl_ksocks *ks);
/* Reads no more; what is under way will still be answered. */
void sl_ksocks_stop_input(struct sl_ksocks *ks);
void sl_ksocks_close_all(struct sl_ksocks *ks);

#endif

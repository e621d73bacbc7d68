/* SPDX-License-Identifier: Apache-2.0 */
#include "lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define STACK_BYTES (512u << 10)

struct sl_lookup {
	_Atomic unsigned holders; /* who asked, and the thread: the last one frees it */
	_Atomic bool over;
	int gai;
	int efd;
	char host[];
};

static void let_go(struct sl_lookup *l)
{
	if (atomic_fetch_sub_explicit(&l->holders, 1, memory_order_acq_rel) > 1)
		return;
	close(l->efd);
	free(l);
}

static void *resolve(void *arg)
{
	static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct sl_lookup *l = arg;
	struct addrinfo *found = NULL;
	uint64_t one = 1;

	l->gai = getaddrinfo(l->host, NULL, &hints, &found);
	if (!l->gai)
		freeaddrinfo(found);
	/* pairs with the acquire in sl_lookup_over() */
	atomic_store_explicit(&l->over, true, memory_order_release);
	ssize_t n = write(l->efd, &one, sizeof(one));
	(void)n; /* full: then it is readable anyway */
	let_go(l);
	return NULL;
}

static int spawn(struct sl_lookup *l)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = pthread_create(&thread, &attr, resolve, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -rc;
}

int sl_lookup_new(const char *host, int efd, struct sl_lookup **ret_lookup)
{
	size_t n = strlen(host) + 1;
	struct sl_lookup *l = calloc(1, sizeof(*l) + n);
	int rc;

	if (!l)
		return -ENOMEM;
	memcpy(l->host, host, n);
	atomic_store_explicit(&l->holders, 2, memory_order_relaxed);
	l->efd = fcntl(efd, F_DUPFD_CLOEXEC, 0);
	if (l->efd < 0) {
		rc = -errno;
		free(l);
		return rc;
	}
	rc = spawn(l);
	if (rc) {
		close(l->efd);
		free(l);
		return rc;
	}
	*ret_lookup = l;
	return 0;
}

bool sl_lookup_over(const struct sl_lookup *l, int *ret_gai)
{
	if (!atomic_load_explicit(&l->over, memory_order_acquire))
		return false;
	*ret_gai = l->gai;
	return true;
}

void sl_lookup_free(struct sl_lookup *l)
{
	if (l)
		let_go(l);
}

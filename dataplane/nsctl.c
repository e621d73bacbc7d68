/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "netlink.h"
#include "nsctl.h"
#include "quiet.h"

#define NAME_MAX_LEN 64

struct sl_nsctl {
	struct sl_nsctl *next;
	char netns[NAME_MAX_LEN];
	unsigned refs; /* under `all.lock` */
	pthread_t thread;
	int nsfd; /* -1: the process's own namespace */

	pthread_mutex_t call; /* one caller at a time */
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	int (*fn)(void *arg); /* work to do; the thread clears it when done */
	void *arg;
	int result;
	bool up, quit;

	/* the thread's own */
	struct sl_nl *nl;
	struct sl_quiet *quiet;
};

/* The process's, as EAL and its ports are: with a second list a namespace could get a second
 * thread, and two at a time would change its interfaces (nsctl.h). */
static struct {
	pthread_mutex_t lock;
	struct sl_nsctl *first;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int enter(struct sl_nsctl *ns)
{
	if (ns->nsfd >= 0 && setns(ns->nsfd, CLONE_NEWNET))
		return -errno;
	int rc = sl_nl_open(&ns->nl);
	if (!rc)
		rc = sl_quiet_new(&ns->quiet);
	return rc;
}

static void *run(void *arg)
{
	struct sl_nsctl *ns = arg;

	(void)pthread_setname_np(pthread_self(), "sl-netns");
	int rc = enter(ns);
	pthread_mutex_lock(&ns->lock);
	ns->result = rc;
	ns->up = true;
	pthread_cond_broadcast(&ns->changed);
	while (!rc) {
		while (!ns->fn && !ns->quit)
			pthread_cond_wait(&ns->changed, &ns->lock);
		if (!ns->fn)
			break;
		pthread_mutex_unlock(&ns->lock);
		int result = ns->fn(ns->arg);
		pthread_mutex_lock(&ns->lock);
		ns->result = result;
		ns->fn = NULL;
		pthread_cond_broadcast(&ns->changed);
	}
	pthread_mutex_unlock(&ns->lock);
	sl_quiet_free(ns->quiet);
	sl_nl_close(ns->nl);
	return NULL;
}

int sl_nsctl_call(struct sl_nsctl *ns, int (*fn)(void *arg), void *arg)
{
	SL_ASSERT(!pthread_equal(pthread_self(), ns->thread));
	pthread_mutex_lock(&ns->call);
	pthread_mutex_lock(&ns->lock);
	ns->arg = arg;
	ns->fn = fn;
	pthread_cond_broadcast(&ns->changed);
	while (ns->fn)
		pthread_cond_wait(&ns->changed, &ns->lock);
	int rc = ns->result;
	pthread_mutex_unlock(&ns->lock);
	pthread_mutex_unlock(&ns->call);
	return rc;
}

struct sl_nl *sl_nsctl_nl(struct sl_nsctl *ns)
{
	return ns->nl;
}

struct sl_quiet *sl_nsctl_quiet(struct sl_nsctl *ns)
{
	return ns->quiet;
}

static void destroy(struct sl_nsctl *ns)
{
	if (ns->nsfd >= 0)
		close(ns->nsfd);
	pthread_cond_destroy(&ns->changed);
	pthread_mutex_destroy(&ns->lock);
	pthread_mutex_destroy(&ns->call);
	free(ns);
}

static int open_netns(const char *netns, int *ret_fd, char *err, size_t errlen)
{
	char path[NAME_MAX_LEN + 16];

	*ret_fd = -1;
	if (!netns[0])
		return 0;
	if (strlen(netns) >= NAME_MAX_LEN || strchr(netns, '/') || netns[0] == '.') {
		snprintf(err, errlen, "\"%s\" is not the name of a network namespace", netns);
		return -EINVAL;
	}
	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		int rc = -errno;
		snprintf(err, errlen, "network namespace %s: %s (%s)", netns, strerror(-rc), path);
		return rc;
	}
	*ret_fd = fd;
	return 0;
}

/* The thread takes no signals: they belong to the control thread. */
static int launch(struct sl_nsctl *ns)
{
	sigset_t everything, before;

	sigfillset(&everything);
	pthread_sigmask(SIG_SETMASK, &everything, &before);
	int rc = -pthread_create(&ns->thread, NULL, run, ns);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		return rc;
	pthread_mutex_lock(&ns->lock);
	while (!ns->up)
		pthread_cond_wait(&ns->changed, &ns->lock);
	rc = ns->result;
	pthread_mutex_unlock(&ns->lock);
	if (rc)
		pthread_join(ns->thread, NULL);
	return rc;
}

static int make(const char *netns, struct sl_nsctl **ret_ns, char *err, size_t errlen)
{
	int fd, rc = open_netns(netns, &fd, err, errlen);

	if (rc)
		return rc;
	struct sl_nsctl *ns = calloc(1, sizeof(*ns));
	if (!ns) {
		if (fd >= 0)
			close(fd);
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	snprintf(ns->netns, sizeof(ns->netns), "%s", netns);
	ns->nsfd = fd;
	ns->refs = 1;
	pthread_mutex_init(&ns->call, NULL);
	pthread_mutex_init(&ns->lock, NULL);
	pthread_cond_init(&ns->changed, NULL);
	rc = launch(ns);
	if (rc) {
		snprintf(err, errlen, "cannot enter network namespace \"%s\": %s", netns,
			 strerror(-rc));
		destroy(ns);
		return rc;
	}
	*ret_ns = ns;
	return 0;
}

int sl_nsctl_get(const char *netns, struct sl_nsctl **ret_ns, char *err, size_t errlen)
{
	struct sl_nsctl *ns;
	int rc = 0;

	pthread_mutex_lock(&all.lock);
	for (ns = all.first; ns && strcmp(ns->netns, netns); ns = ns->next)
		;
	if (ns) {
		ns->refs++;
	} else {
		rc = make(netns, &ns, err, errlen);
		if (!rc) {
			ns->next = all.first;
			all.first = ns;
		}
	}
	pthread_mutex_unlock(&all.lock);
	if (!rc)
		*ret_ns = ns;
	return rc;
}

void sl_nsctl_put(struct sl_nsctl *ns)
{
	if (!ns)
		return;
	pthread_mutex_lock(&all.lock);
	SL_ASSERT(ns->refs > 0);
	bool last = --ns->refs == 0;
	for (struct sl_nsctl **p = &all.first; last && *p; p = &(*p)->next) {
		if (*p == ns) {
			*p = ns->next;
			break;
		}
	}
	pthread_mutex_unlock(&all.lock);
	if (!last)
		return;
	pthread_mutex_lock(&ns->lock);
	ns->quit = true;
	pthread_cond_broadcast(&ns->changed);
	pthread_mutex_unlock(&ns->lock);
	pthread_join(ns->thread, NULL);
	destroy(ns);
}

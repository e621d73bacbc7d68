/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin_link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S   1000000000ull
#define SAID_NS    (5 * NS_PER_S) /* for sluiced's answer to hello */
#define SAID_LOOK  1000000u       /* how often it is looked for */
#define UNWANTED   (5 * NS_PER_S) /* until the next attempt, when it said no */
#define SLICE_NS   10000000u      /* of a wait: then it looks whether sluiced is still there */
#define ROOM_NS    200000u        /* between two looks for room in the ring */
#define SPIN_NS    100000u        /* before it sleeps, if the last answer came within that: */
#define SLOW_NS    5000u          /* else; a sleep costs two context switches and a wake-up */
#define RELAXED(p) atomic_load_explicit(&(p), memory_order_relaxed)

static void count(_Atomic uint64_t *c, uint64_t n) /* one writer: no locked instruction */
{
	atomic_store_explicit(c, RELAXED(*c) + n, memory_order_relaxed);
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t sl_plink_now(void)
{
	return clock_ns(CLOCK_MONOTONIC_COARSE);
}

static void say(struct sl_plink *l, enum sl_plink_level level, const char *fmt, ...)
	SL_PRINTF(3, 4);

static void say(struct sl_plink *l, enum sl_plink_level level, const char *fmt, ...)
{
	uint64_t now = sl_plink_now();
	char text[256];
	size_t n = 0;
	va_list ap;

	if (now - l->lines_ns >= SL_PLINK_LINES_NS || l->lines_ns == 0) {
		l->lines_ns = now;
		l->lines = 0;
	}
	if (!l->cfg.log)
		return;
	if (l->lines >= SL_PLINK_LINES) {
		l->held++;
		return;
	}
	l->lines++;
	if (l->held)
		n = (size_t)snprintf(text, sizeof(text), "(%u lines held back) ", l->held);
	l->held = 0;
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - n, fmt, ap);
	va_end(ap);
	l->cfg.log(l->cfg.arg, level, text);
}

/* ---- the memory ------------------------------------------------------------------------------ */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void mem_fini(struct sl_plink *l)
{
	if (l->mem)
		munmap(l->mem, l->mem_bytes);
	l->mem = NULL;
	close_fd(&l->memfd);
}

static int mem_make(struct sl_plink *l)
{
	static const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	int rc;

	l->memfd = memfd_create("sluice-mqtt", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (l->memfd < 0 || ftruncate(l->memfd, (off_t)l->mem_bytes) < 0)
		return -errno;
	rc = posix_fallocate(l->memfd, 0, (off_t)l->mem_bytes); /* now, not with a SIGBUS later */
	if (rc && rc != EOPNOTSUPP && rc != EINVAL)
		return -rc;
	if (fcntl(l->memfd, F_ADD_SEALS, seals) < 0)
		return -errno;
	void *p = mmap(NULL, l->mem_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, l->memfd, 0);
	if (p == MAP_FAILED)
		return -errno;
	l->mem = p;
	return 0;
}

static int mem_init(struct sl_plink *l)
{
	uint8_t instance[16];
	int rc = mem_make(l);

	if (!rc && getrandom(instance, sizeof(instance), 0) != (ssize_t)sizeof(instance))
		rc = -EIO;
	if (!rc) {
		sl_ring_format(l->mem, l->cfg.ring_bytes, instance, l->broker);
		rc = sl_ring_open(&l->ring, l->mem, l->mem_bytes);
	}
	if (rc)
		mem_fini(l);
	return rc;
}

int sl_plink_init(struct sl_plink *l, const struct sl_plink_cfg *cfg)
{
	memset(l, 0, sizeof(*l));
	l->memfd = l->efd = l->fd = -1;
	l->cfg = *cfg;
	if (!cfg->socket || !cfg->socket[0] || strlen(cfg->socket) > SL_PLINK_PATH_MAX ||
	    cfg->wait_ns < SL_PLINK_WAIT_MIN_NS || cfg->wait_ns > SL_PLINK_WAIT_MAX_NS)
		return -EINVAL;
	if (cfg->ring_bytes < SL_RING_BYTES_MIN || cfg->ring_bytes > SL_RING_BYTES_MAX ||
	    (cfg->ring_bytes & (cfg->ring_bytes - 1)))
		return -EINVAL;
	memcpy(l->socket, cfg->socket, strlen(cfg->socket) + 1);
	snprintf(l->broker, sizeof(l->broker), "%s", cfg->broker ? cfg->broker : "");
	l->mem_bytes = SL_RING_PAGE + (size_t)cfg->ring_bytes;
	l->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int rc = l->efd < 0 ? -errno : mem_init(l);
	if (rc)
		sl_plink_fini(l);
	return rc;
}

void sl_plink_fini(struct sl_plink *l)
{
	if (!l->mem_bytes) /* zeroed: descriptor 0 is not ours */
		return;
	mem_fini(l);
	close_fd(&l->efd);
	close_fd(&l->fd);
	memset(l, 0, sizeof(*l));
}

/* ---- the connection -------------------------------------------------------------------------- */

static void off(struct sl_plink *l)
{
	close_fd(&l->fd);
	l->late = false;
	l->state = SL_PLINK_OFF;
	l->refusing = false; /* `own` stays: our clients are ours while sluiced is away, too */
}

static void lose(struct sl_plink *l)
{
	say(l, SL_PLINK_WARN,
	    "sluice: sluiced has left; QoS 1 and 2 are refused until it returns, QoS 0 is lost");
	l->refused = 0;
	l->last_err = 0;
	off(l);
}

static bool send_hello(struct sl_plink *l)
{
	struct sl_hello h = {.magic = SL_HELLO_MAGIC,
			     .version = SL_HELLO_VERSION,
			     .mem_bytes = (uint32_t)l->mem_bytes};
	union {
		char buf[CMSG_SPACE(sizeof(int) * SL_HELLO_FDS)];
		struct cmsghdr align;
	} ctl = {.buf = {0}};
	struct iovec iov = {&h, sizeof(h)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = ctl.buf,
			   .msg_controllen = sizeof(ctl.buf)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	const int fds[SL_HELLO_FDS] = {l->memfd, l->efd};

	memcpy(h.instance, l->ring.hdr->instance, sizeof(h.instance));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	return sendmsg(l->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof(h);
}

static void try_connect(struct sl_plink *l, uint64_t now)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	memcpy(sa.sun_path, l->socket, sizeof(l->socket));
	l->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd >= 0 && connect(l->fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
	    send_hello(l)) {
		l->state = SL_PLINK_SAID;
		l->said_ns = now;
		return;
	}
	int err = errno;
	off(l);
	if (err == l->last_err) /* said already */
		return;
	l->last_err = err;
	say(l, SL_PLINK_WARN, "sluice: no sluiced at %s: %s", l->socket, strerror(err));
}

static void unwanted(struct sl_plink *l, uint64_t now, const char *why)
{
	say(l, SL_PLINK_ERROR, "sluice: sluiced does not take us: %s", why);
	off(l);
	l->look_ns = now + UNWANTED;
}

static void on_welcome(struct sl_plink *l, struct sl_welcome *w, uint64_t now)
{
	static const char *const why[SL_WELCOME_STATUS_CNT] = {
		[SL_WELCOME_VERSION] = "it has another version than this plugin",
		[SL_WELCOME_MEMORY] = "it does not accept the ring's memory",
	};

	if (w->magic != SL_HELLO_MAGIC || w->version != SL_HELLO_VERSION ||
	    w->status >= SL_WELCOME_STATUS_CNT) {
		unwanted(l, now, "its answer is not understood");
	} else if (w->status == SL_WELCOME_BUSY) {
		off(l); /* the next look tries again */
	} else if (w->status != SL_WELCOME) {
		unwanted(l, now, why[w->status]);
	} else {
		w->own[sizeof(w->own) - 1] = w->own[sizeof(w->own) - 2] = '\0';
		memcpy(l->own, w->own, sizeof(l->own));
		l->state = SL_PLINK_ON;
		l->last_err = 0;
		say(l, SL_PLINK_INFO, "sluice: attached to sluiced at %s; %llu refused meanwhile",
		    l->socket, (unsigned long long)l->refused);
		l->refused = 0;
	}
}

static void look_for_welcome(struct sl_plink *l, uint64_t now)
{
	struct sl_welcome w;
	ssize_t n = recv(l->fd, &w, sizeof(w), MSG_DONTWAIT);

	if (n == (ssize_t)sizeof(w))
		on_welcome(l, &w, now);
	else if (n >= 0 || (errno != EAGAIN && errno != EINTR) || now - l->said_ns > SAID_NS)
		off(l);
	else
		l->look_ns = now + SAID_LOOK;
}

/* False: sluiced has left. */
static bool still_there(const struct sl_plink *l)
{
	char c;
	ssize_t n = recv(l->fd, &c, 1, MSG_DONTWAIT | MSG_PEEK);

	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

void sl_plink_look(struct sl_plink *l, uint64_t now_ns)
{
	if (sl_likely(now_ns < l->look_ns) || !l->mem)
		return;
	l->look_ns = now_ns + SL_PLINK_TRY_NS;
	if (l->state == SL_PLINK_OFF)
		try_connect(l, now_ns);
	else if (l->state == SL_PLINK_ON && !still_there(l))
		lose(l);
	if (l->state == SL_PLINK_SAID)
		look_for_welcome(l, now_ns);
}

bool sl_plink_own(const struct sl_plink *l, const char *client)
{
	for (const char *o = l->own; *o; o += strlen(o) + 1)
		if (*o == '^' ? !strncmp(client, o + 1, strlen(o + 1)) : !strcmp(client, o + 1))
			return true;
	return false;
}

/* ---- handing over ---------------------------------------------------------------------------- */

static enum sl_plink_result refuse(struct sl_plink *l, bool waited)
{
	struct sl_ring_hdr *h = l->ring.hdr;

	if (!waited) {
		count(&h->lost_qos0, 1);
		return SL_PLINK_LOST;
	}
	l->refused++;
	count(&h->pushed_back, 1);
	return SL_PLINK_REFUSED;
}

static enum sl_plink_result expired(struct sl_plink *l)
{
	l->refusing = true;
	l->refused = 0;
	l->stood_at = RELAXED(l->ring.hdr->heartbeat);
	count(&l->ring.hdr->waits_expired, 1);
	say(l, SL_PLINK_WARN,
	    "sluice: no answer from sluiced within %llu ms; QoS 1 and 2 are refused until it moves",
	    (unsigned long long)(l->cfg.wait_ns / 1000000));
	return refuse(l, true);
}

/* True: not even tried, because the last wait ran out and nothing has moved since. */
static bool stands_still(struct sl_plink *l)
{
	if (!l->refusing)
		return false;
	if (RELAXED(l->ring.hdr->heartbeat) == l->stood_at)
		return true;
	l->refusing = false;
	say(l, SL_PLINK_INFO, "sluice: sluiced moves again; %llu refused meanwhile",
	    (unsigned long long)l->refused);
	return false;
}

static void wake(struct sl_plink *l, bool waited)
{
	uint64_t one = 1;

	if (sl_ring_must_wake(&l->ring, waited)) {
		ssize_t n = write(l->efd, &one, sizeof(one));
		(void)n; /* full: then it is awake */
	}
}

/* The ring was full: until there is room, or until `end`. As sl_ring_put(). */
static int put_later(struct sl_plink *l, const struct sl_ring_msg *m, uint64_t end,
		     uint64_t *ret_id)
{
	static const struct timespec nap = {.tv_nsec = ROOM_NS};
	int rc = -EAGAIN;

	while (rc == -EAGAIN && clock_ns(CLOCK_MONOTONIC) < end && still_there(l)) {
		wake(l, true);
		nanosleep(&nap, NULL);
		rc = sl_ring_put(&l->ring, m, ret_id);
	}
	return rc;
}

static enum sl_plink_result await(struct sl_plink *l, uint64_t id, uint64_t end)
{
	enum sl_ring_answer a = SL_RING_NONE;
	uint64_t spin = l->slow ? SLOW_NS : SPIN_NS, slice = SLICE_NS;

	while (sl_ring_wait(&l->ring, id, spin, slice, &a)) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC);
		if (!still_there(l)) {
			lose(l);
			return refuse(l, true);
		}
		if (now >= end)
			return expired(l);
		spin = 0;
		slice = SL_MIN((uint64_t)SLICE_NS, end - now);
	}
	l->slow = clock_ns(CLOCK_MONOTONIC) + l->cfg.wait_ns > end + SPIN_NS;
	return a == SL_RING_STORED || a == SL_RING_SKIPPED ? SL_PLINK_DONE : refuse(l, true);
}

/* sluiced has written nonsense into the ring: another ring, another life. */
static void renew(struct sl_plink *l)
{
	int rc;

	say(l, SL_PLINK_ERROR, "sluice: the ring's memory is damaged: begun anew");
	off(l);
	mem_fini(l);
	rc = mem_init(l);
	if (rc)
		say(l, SL_PLINK_ERROR, "sluice: no memory for the ring: %s", strerror(-rc));
}

/* Hello is said, and sluiced answers within milliseconds if it lives: once, it is waited for. */
static void await_welcome(struct sl_plink *l)
{
	struct pollfd p = {.fd = l->fd, .events = POLLIN};

	if (poll(&p, 1, (int)(l->cfg.wait_ns / 1000000)) > 0)
		look_for_welcome(l, sl_plink_now());
	if (l->state == SL_PLINK_SAID) {
		l->late = true;
		count(&l->ring.hdr->waits_expired, 1);
	}
}

enum sl_plink_result sl_plink_hand(struct sl_plink *l, struct sl_ring_msg *m)
{
	bool waited = m->qos > 0;
	uint64_t id, end = 0;

	if (sl_unlikely(!l->mem))
		return waited ? SL_PLINK_REFUSED : SL_PLINK_LOST;
	if (waited && l->state == SL_PLINK_SAID && !l->late)
		await_welcome(l);
	if (l->state != SL_PLINK_ON || (waited && stands_still(l)))
		return refuse(l, waited);
	if (waited) {
		m->flags |= SL_RING_F_WAITED;
		end = clock_ns(CLOCK_MONOTONIC) + l->cfg.wait_ns;
	}
	int rc = sl_ring_put(&l->ring, m, &id);
	if (rc == -EAGAIN && waited)
		rc = put_later(l, m, end, &id);
	if (sl_unlikely(rc)) {
		if (rc == -EPROTO)
			renew(l);
		if (!l->mem)
			return waited ? SL_PLINK_REFUSED : SL_PLINK_LOST;
		return rc == -EAGAIN && waited ? expired(l) : refuse(l, waited);
	}
	wake(l, waited);
	return waited ? await(l, id, end) : SL_PLINK_DONE;
}

void sl_plink_cut(struct sl_plink *l, uint32_t props)
{
	if (l->mem)
		count(&l->ring.hdr->cut_props, props);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* intake_source.c - rings in private memory that threads of this process fill. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "intake_int.h"
#include "platform/base/clock.h"

#define ROOM_NS 200000u /* between two looks for room */
#define SPIN_NS 20000u

static void on_wake(void *arg, uint32_t events)
{
	(void)arg;
	(void)events;
}

/* The intake's end; takes the memory if it works out. */
static struct sl_in_ring *ring_new(struct sl_intake *in, void *mem, size_t mem_bytes)
{
	int efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct sl_in_ring *r = efd < 0 ? NULL : sl_in_ring_new(in, mem, mem_bytes);

	if (!r)
		goto close_efd;
	r->wake = (struct sl_loop_fd){.fd = efd, .fn = on_wake, .arg = r};
	if (!sl_loop_add(in->loop, &r->wake, EPOLLIN | EPOLLET))
		return r;
	free(r->item);
	free(r);
close_efd:
	if (efd >= 0)
		close(efd);
	return NULL;
}

int sl_intake_source_add(struct sl_intake *in, const struct sl_intake_source_cfg *cfg,
			 struct sl_intake_source **ret_source)
{
	static const uint8_t instance[16];
	uint32_t bytes = cfg->bytes ? cfg->bytes : SL_RING_BYTES_DEF;
	size_t mem_bytes = SL_RING_PAGE + (size_t)bytes;

	if (in->source_cnt == SL_CFG_BROKERS_MAX)
		return -ENOSPC;
	struct sl_intake_source *s = &in->source[in->source_cnt];
	void *mem =
		mmap(NULL, mem_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return -ENOMEM;
	memset(s, 0, sizeof(*s));
	sl_ring_format(mem, bytes, instance, cfg->name);
	s->ring = sl_ring_open(&s->put, mem, mem_bytes) ? NULL : ring_new(in, mem, mem_bytes);
	if (!s->ring) {
		munmap(mem, mem_bytes);
		return -ENOMEM;
	}
	s->in = in;
	s->efd = s->ring->wake.fd;
	s->ring->source = true;
	snprintf(s->ring->name, sizeof(s->ring->name), "%s", cfg->name);
	TAILQ_INSERT_TAIL(&in->rings, s->ring, link);
	in->source_cnt++;
	*ret_source = s;
	return 0;
}

static void wake(struct sl_intake_source *s, bool waited)
{
	uint64_t one = 1;

	if (sl_ring_must_wake(&s->put, waited)) {
		ssize_t n = write(s->efd, &one, sizeof(one));
		(void)n; /* full: then it is awake */
	}
}

int sl_intake_source_put(struct sl_intake_source *s, const struct sl_ring_msg *m, uint64_t room_ns,
			 uint64_t *ret_id)
{
	static const struct timespec nap = {.tv_nsec = ROOM_NS};
	uint64_t id, end = room_ns ? sl_clock_mono_ns() + room_ns : 0;
	int rc;

	for (;;) {
		if (atomic_load_explicit(&s->closed, memory_order_acquire))
			return -ESHUTDOWN;
		rc = sl_ring_put(&s->put, m, &id);
		SL_ASSERT(rc != -EPROTO); /* both ends are ours */
		if (rc != -EAGAIN || sl_clock_mono_ns() >= end)
			break;
		wake(s, true);
		nanosleep(&nap, NULL);
	}
	if (rc)
		return rc;
	wake(s, m->flags & SL_RING_F_WAITED);
	if (ret_id)
		*ret_id = id;
	return 0;
}

int sl_intake_source_wait(struct sl_intake_source *s, uint64_t id, uint64_t timeout_ns,
			  enum sl_ring_answer *ret_answer)
{
	return sl_ring_wait(&s->put, id, SPIN_NS, timeout_ns, ret_answer);
}

void sl_intake_source_stats(const struct sl_intake_source *s, uint64_t *ret_messages,
			    uint64_t *ret_refused, uint64_t *ret_too_large)
{
	*ret_messages = atomic_load_explicit(&s->ring->messages, memory_order_relaxed);
	*ret_refused = atomic_load_explicit(&s->ring->refused, memory_order_relaxed);
	*ret_too_large = atomic_load_explicit(&s->ring->too_large, memory_order_relaxed);
}

void sl_intake_source_lost(struct sl_intake_source *s, uint64_t messages)
{
	sl_in_count(&s->ring->lost, messages);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* ring_wait.c - the ring's bell: answering, and waiting for the answer. */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ring.h"

#define NS_PER_S 1000000000ull

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Not FUTEX_PRIVATE_FLAG: the two ends are two processes. */
static void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void futex_wait(_Atomic uint32_t *word, uint32_t while_it_is, uint64_t ns)
{
	struct timespec ts = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};

	syscall(SYS_futex, word, FUTEX_WAIT, while_it_is, &ts, NULL, 0);
}

void sl_ring_answer(struct sl_ring *r, const struct sl_ring_ref *ref, enum sl_ring_answer a)
{
	struct sl_ring_hdr *h = r->hdr;

	/* A kill -9 between any two of these leaves the frame to be answered once more, never one
	 * that nobody answers. */
	atomic_store_explicit(&h->answer, (uint32_t)a, memory_order_relaxed);
	atomic_store_explicit(&h->answered, ref->id, memory_order_release);
	r->tail = ref->end;
	atomic_store_explicit(&h->tail, ref->end, memory_order_release);
	if (!ref->waited)
		return;
	/* pairs with the fence in sl_ring_wait(): it sees the answer, or we see that it waits */
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load_explicit(&h->waiting, memory_order_relaxed))
		return;
	atomic_fetch_add_explicit(&h->bell, 1, memory_order_release);
	futex_wake(&h->bell);
}

static bool spin(const struct sl_ring *r, uint64_t id, uint64_t until_ns, enum sl_ring_answer *ret)
{
	do {
		for (int i = 0; i < 32; i++) {
			if (sl_ring_answered(r, id, ret))
				return true;
			relax();
		}
		sched_yield();
	} while (now_ns() < until_ns);
	return false;
}

int sl_ring_wait(struct sl_ring *r, uint64_t id, uint64_t spin_ns, uint64_t timeout_ns,
		 enum sl_ring_answer *ret_answer)
{
	struct sl_ring_hdr *h = r->hdr;
	uint64_t now = now_ns(), end = now + timeout_ns;
	bool done = spin(r, id, now + SL_MIN(spin_ns, timeout_ns), ret_answer);

	while (!done) {
		uint32_t bell = atomic_load_explicit(&h->bell, memory_order_acquire);
		atomic_store_explicit(&h->waiting, 1, memory_order_seq_cst);
		atomic_thread_fence(memory_order_seq_cst);
		done = sl_ring_answered(r, id, ret_answer);
		now = now_ns();
		if (done || now >= end)
			break;
		futex_wait(&h->bell, bell, end - now);
		done = sl_ring_answered(r, id, ret_answer);
	}
	atomic_store_explicit(&h->waiting, 0, memory_order_relaxed);
	return done ? 0 : -ETIMEDOUT;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "clock.h"
#include "clock_model.h"

static int64_t slewed(uint64_t mono_ns, uint64_t from_ns, int64_t slew_ns)
{
	/* a reader's time stamp may be a little older than the writer's */
	int64_t passed = mono_ns > from_ns ? (int64_t)(mono_ns - from_ns) : 0;
	int64_t most = passed / SL_CLOCK_SLEW_DIV;

	if (slew_ns >= 0)
		return SL_MIN(slew_ns, most);
	return SL_MAX(slew_ns, -most);
}

bool sl_clock_model_wall(const struct sl_clock_model *m, uint64_t mono_ns, int64_t *ret_wall_ns)
{
	for (;;) {
		uint32_t seq = atomic_load_explicit(&m->seq, memory_order_acquire);

		if (seq == 0)
			return false;
		uint64_t from = atomic_load_explicit(&m->from_ns, memory_order_relaxed);
		int64_t offset = atomic_load_explicit(&m->offset_ns, memory_order_relaxed);
		int64_t slew = atomic_load_explicit(&m->slew_ns, memory_order_relaxed);

		/* Pairs with the release fence and store in set(). */
		atomic_thread_fence(memory_order_acquire);
		if ((seq & 1) || atomic_load_explicit(&m->seq, memory_order_relaxed) != seq)
			continue;
		*ret_wall_ns = (int64_t)mono_ns + offset + slewed(mono_ns, from, slew);
		return true;
	}
}

static void set(struct sl_clock_model *m, uint64_t from_ns, int64_t offset_ns, int64_t slew_ns)
{
	uint32_t seq = atomic_load_explicit(&m->seq, memory_order_relaxed);

	atomic_store_explicit(&m->seq, seq + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&m->from_ns, from_ns, memory_order_relaxed);
	atomic_store_explicit(&m->offset_ns, offset_ns, memory_order_relaxed);
	atomic_store_explicit(&m->slew_ns, slew_ns, memory_order_relaxed);
	/* 0 means "never set", so the count skips it when it wraps */
	atomic_store_explicit(&m->seq, seq + 2 ? seq + 2 : 2, memory_order_release);
}

void sl_clock_model_discipline(struct sl_clock_model *m, uint64_t mono_ns, int64_t wall_ns)
{
	int64_t ours;

	if (!sl_clock_model_wall(m, mono_ns, &ours)) {
		set(m, mono_ns, wall_ns - (int64_t)mono_ns, 0);
		return;
	}
	int64_t diff = wall_ns - ours;

	if (diff > SL_CLOCK_STEP_NS || diff < -SL_CLOCK_STEP_NS) {
		atomic_fetch_add_explicit(&m->steps, 1, memory_order_relaxed);
		set(m, mono_ns, wall_ns - (int64_t)mono_ns, 0);
	} else {
		set(m, mono_ns, ours - (int64_t)mono_ns, diff);
	}
}

/* Process-wide like the system clock that it follows: the one global of this module. */
static struct sl_clock_model the_clock;

static uint64_t read_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t sl_clock_mono_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

int64_t sl_clock_wall_ms(void)
{
	int64_t wall_ns;

	if (!sl_clock_model_wall(&the_clock, sl_clock_mono_ns(), &wall_ns))
		wall_ns = (int64_t)read_ns(CLOCK_REALTIME);
	return wall_ns / 1000000;
}

void sl_clock_discipline(void)
{
	/* One clock is read around the other; the middle halves the error of a preemption. */
	uint64_t before = sl_clock_mono_ns();
	int64_t wall = (int64_t)read_ns(CLOCK_REALTIME);
	uint64_t after = sl_clock_mono_ns();

	sl_clock_model_discipline(&the_clock, before + (after - before) / 2, wall);
}

uint64_t sl_clock_steps(void)
{
	return atomic_load_explicit(&the_clock.steps, memory_order_relaxed);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "sluice/store.h"

void sl_waker_ring(struct sl_waker *k)
{
	uint64_t one = 1;

	/* Pairs with the fence in sl_waker_arm(): either the sleeper sees what we published before
	 * this call, or we see that it is armed. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load_explicit(&k->armed, memory_order_relaxed))
		return;
	if (!atomic_exchange_explicit(&k->armed, 0, memory_order_acq_rel))
		return; /* somebody else rings */
	while (write(k->efd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

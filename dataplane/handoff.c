/* SPDX-License-Identifier: Apache-2.0 */
#include "handoff.h"

#include <errno.h>
#include <stdlib.h>

/* Rings lie in memory of our own: nothing of them is looked up by name or shared. */
static int make_ring(struct rte_ring **ret_ring, uint32_t depth)
{
	uint32_t slots = 64;

	while (slots <= depth) /* a ring of n slots holds n - 1 */
		slots *= 2;
	ssize_t bytes = rte_ring_get_memsize(slots);
	if (bytes < 0)
		return (int)bytes;
	struct rte_ring *r = aligned_alloc(SL_CACHELINE, SL_ALIGN_UP((size_t)bytes, SL_CACHELINE));
	if (!r)
		return -ENOMEM;
	int rc = rte_ring_init(r, "handoff", slots, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (rc) {
		free(r);
		return rc;
	}
	*ret_ring = r;
	return 0;
}

int sl_handoff_init(struct sl_handoff *h, uint32_t depth)
{
	memset(h, 0, sizeof(*h));
	if (depth == 0 || depth > SL_HANDOFF_DEPTH_MAX)
		return -EINVAL;
	int rc = make_ring(&h->to, depth);
	if (!rc)
		rc = make_ring(&h->back, depth);
	if (rc)
		sl_handoff_fini(h);
	return rc;
}

void sl_handoff_fini(struct sl_handoff *h)
{
	if (!h)
		return;
	free(h->to);
	free(h->back);
	memset(h, 0, sizeof(*h));
}

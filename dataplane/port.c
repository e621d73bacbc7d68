/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <stdlib.h>

#include "eal_log.h"
#include "platform/base/log.h"
#include "port_choose.h"
#include "port_int.h"

#define BURST            32
#define DRAIN_BURSTS_MAX 65536

/* What a call on the namespace's thread gets and gives. */
struct job {
	struct sl_port *p;
	const struct sl_cfg_port *cfg;
	struct sl_nsctl *ns;
	uint32_t *ret_room, *ret_mbufs;
	char *err;
	size_t errlen;
};

/* ---- open and close ----------------------------------------------------------------------------
 */

static int open_here(void *arg)
{
	struct job *j = arg;

	return sl_port_open_here(j->p, j->err, j->errlen);
}

static int close_here(void *arg)
{
	sl_port_close_here(((struct job *)arg)->p);
	return 0;
}

int sl_port_open(const struct sl_port_cfg *cfg, struct sl_port **ret_port, char *err, size_t errlen)
{
	struct sl_port *p = calloc(1, sizeof(*p));

	if (!p) {
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	p->cfg = *cfg->port;
	p->listener = cfg->listener;
	p->listener_cnt = cfg->listener_cnt;
	p->pool = cfg->pool;
	p->counters = cfg->counters;
	p->idle = cfg->idle;
	p->index = cfg->index;
	p->fd = p->pcap.fd = -1;
	int rc = sl_nsctl_get(p->cfg.netns, &p->ns, err, errlen);
	if (!rc) {
		struct job j = {.p = p, .err = err, .errlen = errlen};
		rc = sl_nsctl_call(p->ns, open_here, &j);
	}
	if (rc) {
		sl_nsctl_put(p->ns);
		free(p);
		return rc;
	}
	sl_log(SL_LOG_INFO, "port", "%s: %s", p->cfg.name, p->why);
	*ret_port = p;
	return 0;
}

static int needs_here(void *arg)
{
	struct job *j = arg;

	return sl_port_choose_needs(sl_nsctl_nl(j->ns), j->cfg, j->ret_room, j->ret_mbufs, j->err,
				    j->errlen);
}

int sl_port_needs(const struct sl_cfg_port *cfg, uint32_t *ret_data_room, uint32_t *ret_mbufs,
		  char *err, size_t errlen)
{
	struct job j = {.cfg = cfg,
			.ret_room = ret_data_room,
			.ret_mbufs = ret_mbufs,
			.err = err,
			.errlen = errlen};
	int rc = sl_nsctl_get(cfg->netns, &j.ns, err, errlen);

	if (rc)
		return rc;
	rc = sl_nsctl_call(j.ns, needs_here, &j);
	sl_nsctl_put(j.ns);
	return rc;
}

void sl_port_close(struct sl_port *p)
{
	struct job j = {.p = p};

	if (!p)
		return;
	(void)sl_nsctl_call(p->ns, close_here, &j);
	sl_nsctl_put(p->ns);
	free(p);
}

/* ---- start and stop -------------------------------------------------------------------------- */

/* Frames that wait in the device: received and dropped. Nobody else polls. */
static uint64_t drain(struct sl_port *p)
{
	struct rte_mbuf *m[BURST];
	uint64_t n = 0;

	for (unsigned i = 0; i < DRAIN_BURSTS_MAX; i++) {
		uint16_t got = rte_eth_rx_burst(p->dpdk_port, 0, m, BURST);
		if (!got)
			break;
		rte_pktmbuf_free_bulk(m, got);
		n += got;
	}
	return n;
}

/* From here on the counters grow by what losses() grows. Wraps round on purpose. */
static int set_base(struct sl_port *p)
{
	struct sl_port_losses l = {0};
	int rc = p->ops->base ? p->ops->base(p) : 0;

	if (!rc)
		rc = p->ops->losses(p, &l);
	p->base.wire = sl_ctr_get(&p->counters->wire) - l.wire;
	p->base.lost = sl_ctr_get(&p->counters->lost_by_device) - l.lost;
	p->left = 0;
	return rc;
}

static bool replays(const struct sl_port *p)
{
	return p->ops == &sl_port_pcap;
}

static int set_promiscuous(struct sl_port *p)
{
	if (replays(p) || !p->cfg.promiscuous)
		return 0;
	int rc = rte_eth_promiscuous_enable(p->dpdk_port);
	return rc == -ENOTSUP ? 0 : rc;
}

static int start_here(void *arg)
{
	struct job *j = arg;
	struct sl_port *p = j->p;
	bool base_first = !p->ops->interface;

	sl_eal_log_forget();
	int rc = base_first ? set_base(p) : 0;
	if (!rc)
		rc = rte_eth_dev_start(p->dpdk_port);
	if (rc)
		goto failed;
	p->started = true;
	rc = set_promiscuous(p);
	if (!base_first && !rc) { /* what came while the gate was being built is not ours */
		(void)drain(p);
		rc = set_base(p);
	}
	if (!rc && p->ops->gate)
		rc = p->ops->gate(p, true);
	if (rc)
		goto failed;
	p->gate_open = true;
	atomic_store_explicit(&p->link, true, memory_order_relaxed);
	return 0;
failed:
	snprintf(j->err, j->errlen, "port %s did not start: %s", p->cfg.name, rte_strerror(-rc));
	sl_eal_log_quote(j->err, j->errlen);
	return rc;
}

int sl_port_start(struct sl_port *p, char *err, size_t errlen)
{
	struct job j = {.p = p, .err = err, .errlen = errlen};
	int rc = sl_nsctl_call(p->ns, start_here, &j);

	if (rc)
		sl_port_stop(p);
	else
		sl_port_housekeep(p);
	return rc;
}

static void quiesce(struct sl_port *p)
{
	if (p->gate_open && p->ops->gate && !p->gone)
		(void)p->ops->gate(p, false);
	p->gate_open = false;
}

static int quiesce_here(void *arg)
{
	quiesce(((struct job *)arg)->p);
	return 0;
}

static void read_losses(struct sl_port *p)
{
	struct sl_port_losses l;

	if (p->gone || p->ops->losses(p, &l))
		return;
	sl_ctr_set(&p->counters->wire, p->base.wire + l.wire);
	sl_ctr_set(&p->counters->lost_by_device, p->base.lost + l.lost + p->left);
}

void sl_port_stop_here(struct sl_port *p)
{
	if (!p->started)
		return;
	quiesce(p);
	if (!replays(p))
		p->left += drain(p);
	read_losses(p);
	p->started = false;
	(void)rte_eth_dev_stop(p->dpdk_port);
}

static int stop_here(void *arg)
{
	sl_port_stop_here(((struct job *)arg)->p);
	return 0;
}

void sl_port_quiesce(struct sl_port *p)
{
	struct job j = {.p = p};

	(void)sl_nsctl_call(p->ns, quiesce_here, &j);
}

void sl_port_stop(struct sl_port *p)
{
	struct job j = {.p = p};

	(void)sl_nsctl_call(p->ns, stop_here, &j);
}

/* ---- watching -------------------------------------------------------------------------------- */

static void see_link(struct sl_port *p, bool up, const char *what)
{
	bool before = atomic_load_explicit(&p->link, memory_order_relaxed);

	atomic_store_explicit(&p->link, up, memory_order_relaxed);
	if (before != up)
		sl_log(up ? SL_LOG_INFO : SL_LOG_WARN, "port", "%s: %s %s", p->cfg.name,
		       p->cfg.device, what);
}

static void watch_link(struct sl_port *p)
{
	struct sl_nl_link now;

	if (replays(p) || p->gone)
		return;
	if (!p->ops->driver) { /* pci */
		struct rte_eth_link l;
		bool up = !rte_eth_link_get_nowait(p->dpdk_port, &l) && l.link_status;
		see_link(p, up, up ? "is up" : "is down");
		return;
	}
	int rc = sl_nl_link_get(sl_nsctl_nl(p->ns), p->cfg.device, &now);
	if (rc == -ENODEV || (!rc && now.index != p->link0.index)) {
		read_losses(p); /* what the socket still knows */
		p->gone = true;
		see_link(p, false, "was deleted; restart Sluice when it is back");
	} else if (!rc) {
		see_link(p, now.running, now.running ? "is up" : "is down");
	}
}

static int housekeep_here(void *arg)
{
	struct sl_port *p = ((struct job *)arg)->p;

	if (!p->started)
		return 0;
	watch_link(p);
	read_losses(p);
	return 0;
}

void sl_port_housekeep(struct sl_port *p)
{
	struct job j = {.p = p};

	(void)sl_nsctl_call(p->ns, housekeep_here, &j);
}

static int losses_here(void *arg)
{
	struct sl_port *p = ((struct job *)arg)->p;

	if (p->started)
		read_losses(p);
	return 0;
}

void sl_port_read_losses(struct sl_port *p)
{
	struct job j = {.p = p};

	(void)sl_nsctl_call(p->ns, losses_here, &j);
}

/* ---- accessors ------------------------------------------------------------------------------- */

uint16_t sl_port_id(const struct sl_port *p)
{
	return p->dpdk_port;
}

int sl_port_fd(const struct sl_port *p)
{
	return p->fd;
}

uint32_t sl_port_ring(const struct sl_port *p)
{
	return p->ops->ring;
}

bool sl_port_trusts_partial_csum(const struct sl_port *p)
{
	if (p->cfg.checksum != SL_CSUM_AUTO)
		return p->cfg.checksum == SL_CSUM_TRUST;
	return p->ops == &sl_port_tap || sl_port_kind_local(p->link0.kind) ||
	       (p->link0.flags & IFF_LOOPBACK);
}

bool sl_port_trusts_all_csum(const struct sl_port *p)
{
	return p->cfg.checksum == SL_CSUM_TRUST;
}

bool sl_port_done(const struct sl_port *p)
{
	return atomic_load_explicit(&p->done, memory_order_acquire);
}

const char *sl_port_backend(const struct sl_port *p)
{
	return p->ops->name;
}

const char *sl_port_why(const struct sl_port *p)
{
	return p->why;
}

bool sl_port_link(const struct sl_port *p)
{
	return atomic_load_explicit(&p->link, memory_order_relaxed);
}

bool sl_port_loss_exact(const struct sl_port *p)
{
	return p->loss_exact;
}

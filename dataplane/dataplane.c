/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dataplane.c - ports, ingest lcores, writer lcores and injectors as one thing.
 *
 * Ports are dealt out to ingest lcores in turn and stay there. Every ingest lcore has a lane to
 * every writer. Starting goes from the log outwards (writers, ports, ingest), stopping the other
 * way round, so that nothing is ever handed to somebody who is not there.
 */
#include "dataplane.h"

#include <errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <stdio.h>
#include <stdlib.h>

#include "dp_int.h"

/* ---- making ------------------------------------------------------------------------------------
 */

static int build(struct sl_dataplane *dp, char *err, size_t errlen)
{
	int rc = sl_dp_build_topics(dp, err, errlen);

	for (uint32_t i = 0; !rc && i < dp->ports; i++)
		rc = sl_dp_build_port(dp, i, err, errlen);
	if (!rc)
		rc = sl_dp_build_writers(dp, err, errlen);
	for (uint32_t n = 0; !rc && n < dp->ingest_cnt; n++)
		rc = sl_dp_build_ingest(dp, n, err, errlen);
	return rc;
}

int sl_dp_new(const struct sl_dp_cfg *cfg, struct sl_dataplane **ret_dp, char *err, size_t errlen)
{
	struct sl_eal_lcores lcores;
	int rc = sl_eal_lcores(cfg->config, &lcores, err, errlen);

	if (rc)
		return rc;
	struct sl_dataplane *dp = calloc(1, sizeof(*dp));
	if (!dp)
		return sl_dp_fail(-ENOMEM, err, errlen, "no memory for the data plane");
	dp->config = cfg->config;
	dp->store = cfg->store;
	dp->counters = cfg->counters;
	dp->lcores = lcores;
	dp->ports = cfg->config->port_cnt;
	dp->writer_cnt = lcores.writer_cnt;
	dp->ingest_cnt = SL_MIN(lcores.ingest_cnt, dp->ports); /* more would have nothing to do */
	rc = build(dp, err, errlen);
	if (rc) {
		sl_dp_free(dp);
		return rc;
	}
	*ret_dp = dp;
	return 0;
}

void sl_dp_free(struct sl_dataplane *dp)
{
	if (!dp)
		return;
	(void)sl_dp_stop(dp, 0);
	sl_dp_unbuild(dp);
	free(dp);
}

/* ---- starting
 * ------------------------------------------------------------------------------------ */

static int start_writers(struct sl_dataplane *dp, char *err, size_t errlen)
{
	for (uint32_t w = 0; w < dp->writer_cnt; w++) {
		int rc = rte_eal_remote_launch(sl_writer_run, dp->writer[w], dp->lcores.writer[w]);
		if (rc)
			return sl_dp_fail(rc, err, errlen, "writer %u: lcore %u is busy", w,
					  dp->lcores.writer[w]);
		dp->writer_running[w] = true;
		rc = sl_writer_wait_up(dp->writer[w]);
		if (rc)
			return sl_dp_fail(rc, err, errlen, "writer %u cannot have its log: %s", w,
					  strerror(-rc));
	}
	return 0;
}

static int start_ports(struct sl_dataplane *dp, char *err, size_t errlen)
{
	for (uint32_t i = 0; i < dp->ports; i++) {
		int rc = sl_port_start(dp->port[i].port, err, errlen);
		if (rc)
			return rc;
		dp->port[i].started = true;
	}
	return 0;
}

static int start_ingest(struct sl_dataplane *dp, char *err, size_t errlen)
{
	for (uint32_t n = 0; n < dp->ingest_cnt; n++) {
		struct dp_ingest *in = &dp->ingest[n];
		int rc = 0;
		for (uint32_t i = 0; !rc && i < in->port_cnt; i++)
			rc = sl_ingest_watch(in->loop, i, sl_port_fd(dp->port[in->port[i]].port));
		if (!rc)
			rc = rte_eal_remote_launch(sl_ingest_run, in->loop, dp->lcores.ingest[n]);
		if (rc)
			return sl_dp_fail(rc, err, errlen, "ingest %u on lcore %u: %s", n,
					  dp->lcores.ingest[n], strerror(-rc));
		in->running = true;
	}
	return 0;
}

int sl_dp_start(struct sl_dataplane *dp, char *err, size_t errlen)
{
	int rc = start_writers(dp, err, errlen);

	if (!rc)
		rc = start_ports(dp, err, errlen);
	if (!rc)
		rc = start_ingest(dp, err, errlen);
	if (rc)
		(void)sl_dp_stop(dp, 0);
	return rc;
}

/* ---- stopping
 * ------------------------------------------------------------------------------------ */

static void stop_ingest(struct sl_dataplane *dp)
{
	for (uint32_t i = 0; i < dp->ports; i++)
		if (dp->port[i].started)
			sl_port_quiesce(dp->port[i].port);
	for (uint32_t n = 0; n < dp->ingest_cnt; n++)
		if (dp->ingest[n].running)
			sl_ingest_stop(dp->ingest[n].loop);
	for (uint32_t n = 0; n < dp->ingest_cnt; n++) {
		if (!dp->ingest[n].running)
			continue;
		rte_eal_wait_lcore(dp->lcores.ingest[n]);
		dp->ingest[n].running = false;
	}
	for (uint32_t i = 0; i < dp->ports; i++) {
		if (dp->port[i].started)
			sl_port_stop(dp->port[i].port);
		dp->port[i].started = false;
	}
}

static int stop_writers(struct sl_dataplane *dp, uint64_t deadline_ns)
{
	int rc = 0;

	for (uint32_t w = 0; w < dp->writer_cnt; w++)
		if (dp->writer_running[w])
			sl_writer_stop(dp->writer[w], deadline_ns);
	for (uint32_t w = 0; w < dp->writer_cnt; w++) {
		if (!dp->writer_running[w])
			continue;
		rte_eal_wait_lcore(dp->lcores.writer[w]);
		dp->writer_running[w] = false;
		if (!rc)
			rc = sl_writer_outcome(dp->writer[w]);
	}
	return rc;
}

int sl_dp_stop(struct sl_dataplane *dp, uint64_t deadline_ns)
{
	stop_ingest(dp);
	return stop_writers(dp, deadline_ns);
}

/* ---- watching
 * ------------------------------------------------------------------------------------ */

void sl_dp_housekeep(struct sl_dataplane *dp)
{
	for (uint32_t i = 0; i < dp->ports; i++)
		sl_port_housekeep(dp->port[i].port);
	sl_dp_refresh_topics(dp);
	(void)sl_dp_routes_reap(dp);
}

void sl_dp_read_losses(struct sl_dataplane *dp)
{
	for (uint32_t i = 0; i < dp->ports; i++)
		sl_port_read_losses(dp->port[i].port);
}

unsigned sl_dp_ports(struct sl_dataplane *dp, struct sl_dp_port_status *ret, unsigned n)
{
	n = SL_MIN(n, dp->ports);
	for (unsigned i = 0; i < n; i++) {
		const struct sl_port *p = dp->port[i].port;
		ret[i] = (struct sl_dp_port_status){
			.name = dp->config->port[i].name,
			.backend = sl_port_backend(p),
			.why = sl_port_why(p),
			.link = sl_port_link(p),
			.loss_exact = sl_port_loss_exact(p),
			.done = sl_port_done(p),
		};
	}
	return n;
}

unsigned sl_dp_lcores(struct sl_dataplane *dp, char (*ret)[64], unsigned n)
{
	unsigned k = 0;

	for (uint32_t i = 0; i < dp->ingest_cnt && k < n; i++)
		snprintf(ret[k++], sizeof(*ret), "ingest %u on cpu %u", i,
			 dp->lcores.ingest_cpu[i]);
	for (uint32_t i = 0; i < dp->writer_cnt && k < n; i++)
		snprintf(ret[k++], sizeof(*ret), "writer %u on cpu %u", i,
			 dp->lcores.writer_cpu[i]);
	return k;
}

struct sl_injectors *sl_dp_injectors(struct sl_dataplane *dp)
{
	return &dp->injectors;
}

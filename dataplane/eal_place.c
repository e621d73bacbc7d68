/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>

#include "eal.h"
#include "eal_place.h"

/* Which of the usable CPUs are the n-th from the end; wraps, so that few CPUs are shared. */
static uint16_t nth_from_end(const struct sl_eal_mask *m, uint32_t n)
{
	return m->cpu[m->cnt - 1 - n % m->cnt];
}

static bool usable(const struct sl_eal_mask *m, uint16_t cpu)
{
	for (uint32_t i = 0; i < m->cnt; i++)
		if (m->cpu[i] == cpu)
			return true;
	return false;
}

static int check_listed(const struct sl_eal_mask *m, const struct sl_cfg_cpus *c, const char *key,
			char *err, size_t errlen)
{
	if (c->automatic)
		return 0;
	if (!c->cnt || c->cnt > SL_CFG_CPUS_MAX) {
		snprintf(err, errlen, "dataplane.%s names %u CPUs; 1 to %d are possible", key,
			 c->cnt, SL_CFG_CPUS_MAX);
		return -EINVAL;
	}
	for (uint32_t i = 0; i < c->cnt; i++) {
		if (usable(m, c->cpu[i]))
			continue;
		snprintf(err, errlen,
			 "dataplane.%s: CPU %u does not exist or this process may not use it "
			 "(usable: %u CPUs, %u to %u)",
			 key, c->cpu[i], m->cnt, m->cpu[0], m->cpu[m->cnt - 1]);
		return -EINVAL;
	}
	return 0;
}

/* A quarter of the CPUs may receive, an eighth may write, never more receivers than ports. */
static uint32_t auto_writers(const struct sl_eal_mask *m)
{
	uint32_t n = m->cnt / 8;
	return n < 1 ? 1 : SL_MIN(n, 4u);
}

static uint32_t auto_ingest(const struct sl_eal_mask *m, uint32_t port_cnt)
{
	uint32_t n = m->cnt / 4;
	n = n < 1 ? 1 : SL_MIN(n, (uint32_t)SL_CFG_CPUS_MAX);
	return port_cnt < 1 ? 1 : SL_MIN(n, port_cnt);
}

int sl_eal_place(const struct sl_eal_mask *m, const struct sl_config *cfg,
		 struct sl_eal_lcores *ret_lcores, char *err, size_t errlen)
{
	const struct sl_cfg_cpus *in = &cfg->dataplane.ingest, *wr = &cfg->dataplane.writers;
	struct sl_eal_lcores l = {0};

	SL_ASSERT(m->cnt > 0);
	int rc = check_listed(m, in, "ingest", err, errlen);
	if (!rc)
		rc = check_listed(m, wr, "writers", err, errlen);
	if (rc)
		return rc;

	l.writer_cnt = wr->automatic ? auto_writers(m) : wr->cnt;
	l.ingest_cnt = in->automatic ? auto_ingest(m, cfg->port_cnt) : in->cnt;
	for (uint32_t i = 0; i < l.writer_cnt; i++) {
		l.writer[i] = (uint16_t)(1 + l.ingest_cnt + i);
		l.writer_cpu[i] =
			wr->automatic ? nth_from_end(m, l.writer_cnt - 1 - i) : wr->cpu[i];
	}
	for (uint32_t i = 0; i < l.ingest_cnt; i++) {
		l.ingest[i] = (uint16_t)(1 + i);
		l.ingest_cpu[i] = in->automatic
					  ? nth_from_end(m, l.writer_cnt + l.ingest_cnt - 1 - i)
					  : in->cpu[i];
	}
	*ret_lcores = l;
	return 0;
}

static bool replays(const struct sl_cfg_port *p)
{
	return p->backend == SL_BE_PCAP || (p->backend == SL_BE_AUTO && p->file[0]) ||
	       (p->backend == SL_BE_AUTO && strstr(p->device, ".pcap"));
}

bool sl_eal_may_hurry(const struct sl_config *cfg, const struct sl_eal_lcores *l, uint32_t i)
{
	uint32_t here = 0;

	for (uint32_t k = 0; k < cfg->port_cnt; k++)
		if (replays(&cfg->port[k]))
			return false;
	for (uint32_t k = 0; k < l->ingest_cnt; k++)
		here += l->ingest_cpu[k] == l->ingest_cpu[i];
	for (uint32_t k = 0; k < l->writer_cnt; k++)
		here += l->writer_cpu[k] == l->ingest_cpu[i];
	return cfg->dataplane.idle == SL_IDLE_SLEEP && here == 1;
}

void sl_eal_mask_get(struct sl_eal_mask *ret_mask)
{
	cpu_set_t set;
	struct sl_eal_mask m = {0};

	CPU_ZERO(&set);
	SL_ASSERT(sched_getaffinity(0, sizeof(set), &set) == 0);
	for (unsigned c = 0; c < CPU_SETSIZE; c++)
		if (CPU_ISSET(c, &set))
			m.cpu[m.cnt++] = (uint16_t)c;
	*ret_mask = m;
}

int sl_eal_lcores(const struct sl_config *cfg, struct sl_eal_lcores *ret_lcores, char *err,
		  size_t errlen)
{
	struct sl_eal_mask m;

	sl_eal_mask_get(&m);
	return sl_eal_place(&m, cfg, ret_lcores, err, errlen);
}

int sl_eal_lcores_arg(const struct sl_eal_mask *m, const struct sl_eal_lcores *l, char *buf,
		      size_t len)
{
	size_t n = 0;

	n += (size_t)snprintf(buf, len, "0@(");
	for (uint32_t i = 0; i < m->cnt && n < len; i++)
		n += (size_t)snprintf(buf + n, len - n, "%s%u", i ? "," : "", m->cpu[i]);
	if (n < len)
		n += (size_t)snprintf(buf + n, len - n, ")");
	for (uint32_t i = 0; i < l->ingest_cnt && n < len; i++)
		n += (size_t)snprintf(buf + n, len - n, ",%u@%u", l->ingest[i], l->ingest_cpu[i]);
	for (uint32_t i = 0; i < l->writer_cnt && n < len; i++)
		n += (size_t)snprintf(buf + n, len - n, ",%u@%u", l->writer[i], l->writer_cpu[i]);
	return n < len ? 0 : -ENAMETOOLONG;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dataplane.h"
#include "eal_log.h"
#include "eal_place.h"
#include "eal_rundir.h"
#include "platform/base/log.h"
#include "port_pci.h"

#define MIB           (1024ull * 1024)
#define NO_HUGE_SPARE (64 * MIB) /* rings, ports, EAL itself: without hugepages it cannot grow */
#define ARGS_MAX      48

/* EAL can be had once per process; so this is one per process too. */
static struct {
	bool tried, up, hugepages;
	char rundir[PATH_MAX];
} eal;

struct args {
	int argc;
	char *argv[ARGS_MAX]; /* EAL permutes these and writes its own into the last */
	char *own[ARGS_MAX];  /* the same strings, to be freed */
	char prefix[SL_CFG_NAME_MAX + 32];
	char lcores[8192];
	char memory[24];
};

/* Bytes free on hugepages of any size. */
static uint64_t hugepages_free(void)
{
	const char *root = "/sys/kernel/mm/hugepages";
	uint64_t sum = 0;
	DIR *d = opendir(root);

	if (!d)
		return 0;
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		unsigned long kib, pages = 0;
		char path[PATH_MAX];
		if (sscanf(e->d_name, "hugepages-%lukB", &kib) != 1)
			continue;
		snprintf(path, sizeof(path), "%s/%s/free_hugepages", root, e->d_name);
		FILE *f = fopen(path, "re");
		if (!f)
			continue;
		if (fscanf(f, "%lu", &pages) == 1)
			sum += (uint64_t)pages * kib * 1024;
		fclose(f);
	}
	closedir(d);
	return sum;
}

static int choose_memory(const struct sl_config *cfg, bool *ret_huge, char *err, size_t errlen)
{
	uint64_t need = cfg->dataplane.memory_bytes;

	if (need < 16 * MIB || need > 1024 * 1024 * MIB) {
		snprintf(err, errlen, "dataplane.memory is %llu MiB; 16 MiB to 1 TiB are possible",
			 (unsigned long long)(need / MIB));
		return -EINVAL;
	}
	if (cfg->dataplane.hugepages == SL_HUGE_OFF) {
		*ret_huge = false;
		return 0;
	}
	uint64_t have = hugepages_free();
	if (have < need && cfg->dataplane.hugepages == SL_HUGE_REQUIRED) {
		snprintf(err, errlen,
			 "dataplane.hugepages is required, but %llu MiB of hugepages are free and "
			 "dataplane.memory wants %llu MiB (vm.nr_hugepages)",
			 (unsigned long long)(have / MIB), (unsigned long long)(need / MIB));
		return -ENOMEM;
	}
	*ret_huge = have >= need;
	return 0;
}

static void add(struct args *a, const char *s)
{
	SL_ASSERT(a->argc < ARGS_MAX - 1);
	char *copy = strdup(s);
	SL_ASSERT(copy);
	a->own[a->argc] = a->argv[a->argc] = copy;
	a->argc++;
}

static void args_free(struct args *a)
{
	for (int i = 0; i < a->argc; i++)
		free(a->own[i]);
	free(a);
}

/* PCI devices are scanned only if a port names one, and then only those are taken. */
static void add_devices(struct args *a, const struct sl_config *cfg)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < cfg->port_cnt; i++) {
		const struct sl_cfg_port *p = &cfg->port[i];
		if (p->backend != SL_BE_PCI &&
		    !(p->backend == SL_BE_AUTO && sl_pci_address(p->device)))
			continue;
		add(a, "-a");
		add(a, p->device);
		n++;
	}
	if (n)
		return;
	add(a, "--no-pci");
	add(a, "--iova-mode=va"); /* pools without gaps, see pool.h */
}

static void build_args(struct args *a, const struct sl_config *cfg, bool huge)
{
	uint64_t bytes = cfg->dataplane.memory_bytes + (huge ? 0 : NO_HUGE_SPARE);

	if (cfg->dataplane.file_prefix[0])
		snprintf(a->prefix, sizeof(a->prefix), "%s", cfg->dataplane.file_prefix);
	else
		snprintf(a->prefix, sizeof(a->prefix), SL_EAL_PREFIX "%d", getpid());
	snprintf(a->memory, sizeof(a->memory), "%llu",
		 (unsigned long long)((bytes + MIB - 1) / MIB));

	add(a, "sluiced");
	add(a, "--lcores");
	add(a, a->lcores);
	add(a, "--main-lcore");
	add(a, "0");
	add(a, "--file-prefix");
	add(a, a->prefix);
	add(a, "-m");
	add(a, a->memory);
	add(a, "--no-telemetry");
	if (huge) { /* 22.11: --in-memory and --no-huge exclude each other */
		add(a, "--in-memory");
	} else {
		add(a, "--no-huge");
		add(a, "--no-shconf");
	}
	add_devices(a, cfg);
}

static int init(struct args *a, char *err, size_t errlen)
{
	cpu_set_t before;

	int rc = sl_eal_log_open();
	if (rc) {
		snprintf(err, errlen, "out of memory");
		return rc;
	}
	SL_ASSERT(!pthread_getaffinity_np(pthread_self(), sizeof(before), &before));
	sl_eal_log_forget();
	rc = rte_eal_init(a->argc, a->argv);
	int why = rte_errno;
	/* EAL pins its main lcore; threads made from here on are to float. */
	(void)pthread_setaffinity_np(pthread_self(), sizeof(before), &before);
	snprintf(eal.rundir, sizeof(eal.rundir), "%s", rte_eal_get_runtime_dir());
	if (rc < 0) {
		snprintf(err, errlen, "DPDK did not start (%s)", rte_strerror(why));
		sl_eal_log_quote(err, errlen);
		return why == ENOMEM ? -ENOMEM : -EINVAL;
	}
	return 0;
}

static int be_urgent(void *arg)
{
	const struct sched_param sp = {.sched_priority = 1};

	(void)arg;
	return sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &sp) ? -errno : 0;
}

/*
 * An ingest lcore that sleeps when idle and has a CPU's ingest to itself goes ahead of ordinary
 * threads (SCHED_RR, lowest priority): on a busy box its frames wait 0.1 ms instead of 8 to 400 ms,
 * and AF_XDP has room for 2,048 (docs/decisions/0023). Without the right to it, things stay as
 * they are.
 */
static void hurry_ingest(const struct sl_config *cfg, const struct sl_eal_lcores *l)
{
	unsigned hurried = 0;

	for (uint32_t i = 0; i < l->ingest_cnt; i++) {
		if (!sl_eal_may_hurry(cfg, l, i) ||
		    rte_eal_remote_launch(be_urgent, NULL, l->ingest[i]))
			continue;
		hurried += rte_eal_wait_lcore(l->ingest[i]) == 0;
	}
	if (hurried)
		sl_log(SL_LOG_INFO, "eal", "%u ingest lcores run with real-time priority", hurried);
}

int sl_dp_eal_init(const struct sl_config *cfg, char *err, size_t errlen)
{
	struct sl_eal_lcores lcores;
	struct sl_eal_mask mask;
	bool huge;

	if (eal.tried) {
		snprintf(err, errlen, "DPDK was started already in this process");
		return -EALREADY;
	}
	sl_eal_mask_get(&mask);
	int rc = sl_eal_place(&mask, cfg, &lcores, err, errlen);
	if (!rc)
		rc = choose_memory(cfg, &huge, err, errlen);
	if (rc)
		return rc;

	struct args *a = calloc(1, sizeof(*a));
	if (!a || sl_eal_lcores_arg(&mask, &lcores, a->lcores, sizeof(a->lcores))) {
		snprintf(err, errlen, "out of memory");
		free(a);
		return -ENOMEM;
	}
	build_args(a, cfg, huge);
	eal.tried = true;
	rc = init(a, err, errlen);
	args_free(a);
	eal.up = rc == 0;
	eal.hugepages = huge;
	if (eal.rundir[0])
		sl_eal_rundir_sweep(eal.rundir);
	if (rc) {
		sl_dp_eal_cleanup();
		return rc;
	}
	hurry_ingest(cfg, &lcores);
	sl_log(SL_LOG_INFO, "eal", "%s, %llu MiB, %u ingest and %u writer lcores",
	       huge ? "hugepages" : "no hugepages",
	       (unsigned long long)(cfg->dataplane.memory_bytes / MIB), lcores.ingest_cnt,
	       lcores.writer_cnt);
	return rc;
}

bool sl_eal_hugepages(void)
{
	return eal.up && eal.hugepages;
}

void sl_dp_eal_cleanup(void)
{
	if (!eal.tried)
		return;
	if (eal.up)
		(void)rte_eal_cleanup();
	eal.up = false;
	sl_eal_log_close();
	if (eal.rundir[0])
		sl_eal_rundir_remove(eal.rundir);
	eal.rundir[0] = 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "eal_place.h"
#include "eal_rundir.h"
#include "port_pci.h"

static struct sl_eal_mask cpus(uint32_t n, uint16_t first)
{
	struct sl_eal_mask m = {.cnt = n};

	for (uint32_t i = 0; i < n; i++)
		m.cpu[i] = (uint16_t)(first + i);
	return m;
}

static struct sl_config *automatic(uint32_t ports)
{
	static struct sl_config c;

	memset(&c, 0, sizeof(c));
	c.port_cnt = ports;
	c.dataplane.ingest.automatic = c.dataplane.writers.automatic = true;
	return &c;
}

static void auto_placement(void **state)
{
	static const struct {
		uint32_t cpus, ports, ingest, writers;
		uint16_t first_ingest, first_writer;
	} want[] = {
		{1, 1, 1, 1, 0, 0},    {2, 1, 1, 1, 0, 1},      {2, 4, 1, 1, 0, 1},
		{4, 1, 1, 1, 2, 3},    {8, 4, 2, 1, 5, 7},      {16, 1, 1, 2, 13, 14},
		{16, 8, 4, 2, 10, 14}, {64, 16, 16, 4, 44, 60},
	};
	char err[256];

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(want); i++) {
		struct sl_eal_mask m = cpus(want[i].cpus, 0);
		struct sl_eal_lcores l;
		assert_int_equal(sl_eal_place(&m, automatic(want[i].ports), &l, err, sizeof(err)),
				 0);
		assert_int_equal(l.ingest_cnt, want[i].ingest);
		assert_int_equal(l.writer_cnt, want[i].writers);
		assert_int_equal(l.ingest_cpu[0], want[i].first_ingest);
		assert_int_equal(l.writer_cpu[0], want[i].first_writer);
	}
}

static void listed_cpus(void **state)
{
	struct sl_config *c = automatic(1);
	struct sl_eal_mask m = cpus(4, 2); /* 2 to 5 */
	struct sl_eal_lcores l;
	char err[256], arg[256];

	(void)state;
	c->dataplane.ingest = (struct sl_cfg_cpus){.cnt = 2, .cpu = {3, 3}};
	c->dataplane.writers = (struct sl_cfg_cpus){.cnt = 1, .cpu = {3}};
	assert_int_equal(sl_eal_place(&m, c, &l, err, sizeof(err)), 0);
	assert_int_equal(sl_eal_lcores_arg(&m, &l, arg, sizeof(arg)), 0);
	assert_string_equal(arg, "0@(2,3,4,5),1@3,2@3,3@3");
	assert_int_equal(sl_eal_lcores_arg(&m, &l, arg, 12), -ENAMETOOLONG);

	c->dataplane.writers.cpu[0] = 6;
	assert_int_equal(sl_eal_place(&m, c, &l, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "dataplane.writers"));
	assert_non_null(strstr(err, "6"));
	c->dataplane.writers.cpu[0] = 3;
	c->dataplane.ingest.cpu[1] = 0;
	assert_int_equal(sl_eal_place(&m, c, &l, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "dataplane.ingest"));
	c->dataplane.ingest.cnt = 0;
	assert_int_equal(sl_eal_place(&m, c, &l, err, sizeof(err)), -EINVAL);
	c->dataplane.ingest.cnt = SL_CFG_CPUS_MAX + 1;
	assert_int_equal(sl_eal_place(&m, c, &l, err, sizeof(err)), -EINVAL);
}

static void who_may_hurry(void **state)
{
	struct sl_eal_mask m = cpus(2, 0);
	struct sl_config *c = automatic(1);
	struct sl_eal_lcores l;
	char err[256];

	(void)state;
	assert_int_equal(sl_eal_place(&m, c, &l, err, sizeof(err)), 0);
	assert_true(sl_eal_may_hurry(c, &l, 0));
	c->dataplane.idle = SL_IDLE_SPIN;
	assert_false(sl_eal_may_hurry(c, &l, 0));
	c->dataplane.idle = SL_IDLE_SLEEP;
	c->port[0].backend = SL_BE_PCAP;
	assert_false(sl_eal_may_hurry(c, &l, 0));
	c->port[0].backend = SL_BE_AF_XDP;
	m.cnt = 1; /* shared with the writer */
	assert_int_equal(sl_eal_place(&m, c, &l, err, sizeof(err)), 0);
	assert_false(sl_eal_may_hurry(c, &l, 0));
}

static void own_mask(void **state)
{
	struct sl_eal_lcores l;
	struct sl_eal_mask m;
	char err[256];

	(void)state;
	sl_eal_mask_get(&m);
	assert_true(m.cnt > 0);
	assert_int_equal(sl_eal_lcores(automatic(1), &l, err, sizeof(err)), 0);
	assert_int_equal(l.writer_cpu[0], m.cpu[m.cnt - 1]);
}

static void rundir_names(void **state)
{
	(void)state;
	assert_int_equal(sl_eal_rundir_pid("sluice-123"), 123);
	assert_int_equal(sl_eal_rundir_pid("sluice-"), 0);
	assert_int_equal(sl_eal_rundir_pid("sluice-12x"), 0);
	assert_int_equal(sl_eal_rundir_pid("sluice--1"), 0);
	assert_int_equal(sl_eal_rundir_pid("sluice-99999999999"), 0);
	assert_int_equal(sl_eal_rundir_pid("rte"), 0);
}

static void touch(const char *path)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fclose(f);
}

/* Folders of dead processes go with their files; those of living ones and of others stay. */
static void rundir_sweep(void **state)
{
	char root[64], mine[128], dead[128], other[128], file[160];
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	snprintf(root, sizeof(root), "/tmp/slt-rundir-%d", getpid());
	snprintf(mine, sizeof(mine), "%s/" SL_EAL_PREFIX "%d", root, getpid());
	snprintf(dead, sizeof(dead), "%s/" SL_EAL_PREFIX "%d", root, pid);
	snprintf(other, sizeof(other), "%s/rte", root);
	assert_int_equal(
		mkdir(root, 0700) | mkdir(mine, 0700) | mkdir(dead, 0700) | mkdir(other, 0700), 0);
	snprintf(file, sizeof(file), "%s/config", dead);
	touch(file);
	sl_eal_rundir_sweep(mine);
	assert_int_not_equal(access(dead, F_OK), 0);
	assert_int_equal(access(mine, F_OK) | access(other, F_OK), 0);
	snprintf(file, sizeof(file), "%s/config", mine);
	touch(file);
	sl_eal_rundir_remove(mine);
	assert_int_not_equal(access(mine, F_OK), 0);
	assert_int_equal(access(root, F_OK), 0); /* not empty yet */
	sl_eal_rundir_remove(other);
	assert_int_not_equal(access(root, F_OK), 0);
}

static void pci_addresses(void **state)
{
	(void)state;
	assert_true(sl_pci_address("0000:01:00.0"));
	assert_true(sl_pci_address("01:00.7"));
	assert_true(sl_pci_address("ffff:fe:1f.1"));
	assert_false(sl_pci_address(""));
	assert_false(sl_pci_address("eth0"));
	assert_false(sl_pci_address("01:00.8"));
	assert_false(sl_pci_address("01:00.0x"));
	assert_false(sl_pci_address("000:01:00.0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(auto_placement), cmocka_unit_test(listed_cpus),
		cmocka_unit_test(who_may_hurry),  cmocka_unit_test(own_mask),
		cmocka_unit_test(rundir_names),   cmocka_unit_test(rundir_sweep),
		cmocka_unit_test(pci_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

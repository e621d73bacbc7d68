/* SPDX-License-Identifier: Apache-2.0 */
/* Suite net: programs on an interface, ours and other people's: who puts them on, who takes them
 * off. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "port_testlib.h"

extern char **environ;

static int load_stranger(void)
{
	struct bpf_insn pass[] = {{.code = 0xb7, .dst_reg = 0, .imm = 2}, {.code = 0x95}};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "stranger", "GPL", pass, 2, NULL);
}

struct attach_job {
	const char *ifname;
	int fd;
	int want_index;
};

static int attach_here(void *arg)
{
	struct attach_job *j = arg;
	int index = (int)if_nametoindex(j->ifname);

	if (j->want_index && index != j->want_index)
		return -ENXIO;
	return bpf_xdp_attach(index, j->fd, 0, NULL);
}

/* The program put on the interface while ours ran: the driver takes it off, we put it back. */
static void replaced_program_survives(void **state)
{
	struct tl_fix *f = *state;
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	struct attach_job j = {.ifname = "gw0", .fd = load_stranger()};

	tl_port(f, SL_BE_AF_XDP, "gw0", tl_gw);
	struct sl_port *p = tl_open_started(f, &l, 1);
	assert_int_equal(tl_in_ns(tl_gw, attach_here, &j), 0);
	uint32_t theirs = tl_xdp_id(tl_gw, "gw0");
	sl_port_close(p);
	assert_int_equal(tl_xdp_id(tl_gw, "gw0"), theirs);
	close(j.fd);
	j.fd = -1;
	assert_int_equal(tl_in_ns(tl_gw, attach_here, &j), 0);
}

static int index_here(void *arg)
{
	return (int)if_nametoindex(arg);
}

/* A bystander in another namespace has the same interface index and its own program. */
static void bystander_keeps_its_program(void **state)
{
	struct tl_fix *f = *state;
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	char gw0[] = "gw0", ns[64];
	struct attach_job j = {.ifname = "by0", .fd = load_stranger()};
	char here[] = "by0";

	assert_true(j.fd >= 0);
	j.want_index = tl_in_ns(tl_gw, index_here, gw0);
	snprintf(ns, sizeof(ns), "slt-port-by-%d", getpid());
	assert_int_equal(tl_sh("ip netns add %s", ns), 0);
	assert_int_equal(
		tl_sh("ip -n %s link add by0 index %d type veth peer name by1", ns, j.want_index),
		0);
	assert_int_equal(tl_in_ns(ns, attach_here, &j), 0);
	uint32_t theirs = tl_xdp_id(ns, here);
	assert_int_not_equal(theirs, 0);

	/* The caller lives beside the bystander: a control call made from the wrong thread would
	 * hit the interface of that index there. */
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	char path[128];
	snprintf(path, sizeof(path), "/run/netns/%s", ns);
	int away = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(home >= 0 && away >= 0);
	assert_int_equal(setns(away, CLONE_NEWNET), 0);
	tl_port(f, SL_BE_AF_XDP, "gw0", tl_gw);
	struct sl_port *p = tl_open_started(f, &l, 1);
	assert_int_not_equal(tl_xdp_id(tl_gw, "gw0"), 0);
	assert_int_equal(tl_xdp_id(ns, here), theirs);
	sl_port_housekeep(p);
	sl_port_close(p);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	close(home);
	close(away);
	assert_int_equal(tl_xdp_id(tl_gw, "gw0"), 0);
	assert_int_equal(tl_xdp_id(ns, here), theirs);
	close(j.fd);
	tl_sh("ip netns del %s", ns);
}

static void foreign_program_is_refused(void **state)
{
	struct tl_fix *f = *state;
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	struct attach_job j = {.ifname = "gw0", .fd = load_stranger()};
	struct sl_port *p = NULL;
	char err[TL_ERR];

	assert_int_equal(tl_in_ns(tl_gw, attach_here, &j), 0);
	uint32_t theirs = tl_xdp_id(tl_gw, "gw0");
	tl_port(f, SL_BE_AF_XDP, "gw0", tl_gw);
	assert_int_equal(tl_open(f, &l, 1, &p, err), -EBUSY);
	assert_non_null(strstr(err, "stranger"));
	assert_int_equal(tl_xdp_id(tl_gw, "gw0"), theirs);
	tl_port(f, SL_BE_AUTO, "gw0", tl_gw); /* left to us: there is another way */
	p = tl_open_started(f, &l, 1);
	assert_string_equal(sl_port_backend(p), "af_packet");
	assert_non_null(strstr(sl_port_why(p), "stranger"));
	sl_port_close(p);
	assert_int_equal(tl_xdp_id(tl_gw, "gw0"), theirs);
	close(j.fd);
	j.fd = -1;
	assert_int_equal(tl_in_ns(tl_gw, attach_here, &j), 0);
}

/* This program again, as a process that opens gw0 and waits to be killed. */
static pid_t spawn_holder(void)
{
	char *argv[] = {(char *)(uintptr_t) "holder", (char *)(uintptr_t) "hold", tl_gw, NULL};
	pid_t pid;

	assert_int_equal(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ), 0);
	for (int i = 0; i < 500 && !tl_xdp_id(tl_gw, "gw0"); i++)
		usleep(10000);
	assert_int_not_equal(tl_xdp_id(tl_gw, "gw0"), 0);
	return pid;
}

static int hold(const char *ns)
{
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP + 1);
	struct tl_fix f = {0};

	tl_eal();
	SL_ASSERT(!sl_counters_anon(&f.ctr));
	f.pool = tl_pool(2048);
	tl_port(&f, SL_BE_AF_XDP, "gw0", ns);
	tl_open_started(&f, &l, 1);
	pause();
	return 0;
}

static void leftover_is_taken_off(void **state)
{
	struct tl_fix *f = *state;
	struct sl_cfg_listener l = tl_listener(NULL, TL_UDP);
	struct sl_port *p = NULL;
	char err[TL_ERR];
	int status;

	tl_port(f, SL_BE_AF_XDP, "gw0", tl_gw);
	pid_t pid = spawn_holder();
	assert_int_equal(tl_open(f, &l, 1, &p, err), -EBUSY); /* it lives: hands off */
	assert_non_null(strstr(err, "another running Sluice"));
	assert_int_not_equal(tl_xdp_id(tl_gw, "gw0"), 0);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_int_not_equal(tl_xdp_id(tl_gw, "gw0"), 0); /* the leftover */
	p = tl_open_started(f, &l, 1);
	uint64_t all = 0, udp = 0;
	assert_int_equal(tl_send_udp(TL_GW_IP, TL_UDP, 10, 0), 10);
	tl_poll_for(p, 10, &all, &udp);
	sl_port_close(p);
	assert_int_equal(tl_xdp_id(tl_gw, "gw0"), 0);
}

static int setup(void **state)
{
	*state = tl_fix_new(true);
	return 0;
}

static int teardown(void **state)
{
	return tl_fix_free(*state);
}

#define T(f) cmocka_unit_test_setup_teardown(f, tl_fresh_pool, tl_drop_pool)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(bystander_keeps_its_program),
		T(foreign_program_is_refused),
		T(replaced_program_survives),
		T(leftover_is_taken_off),
	};

	if (argc == 3 && !strcmp(argv[1], "hold"))
		return hold(argv[2]);
	if (!tl_can_run())
		return 77;
	return cmocka_run_group_tests(tests, setup, teardown);
}

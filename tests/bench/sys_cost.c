/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_cost.c - what writing costs a process in the kernel: CPU time of all its threads inside the
 * system calls that write (sys_cost.h), for some seconds.
 *
 *   sys_cost OBJ PID SECONDS
 *
 * Prints {"seconds":s,"total_ns":n,"calls":{"io_uring_enter":{"n":n,"ns":n},...}}. Needs root and a
 * kernel with BTF.
 */
#include "sys_cost.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

enum { SECONDS_MAX = 60, PROGS = 3 };

static const struct {
	const char *name;
	long nr;
} calls[SC_CALL_CNT] = {
#define X(n) [SC_##n] = {#n, SYS_##n},
	SC_CALLS(X)
#undef X
};

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int set_target(struct bpf_object *obj, int pid)
{
	struct bpf_map *m = bpf_object__find_map_by_name(obj, ".rodata");
	struct sc_cfg cfg = {.tgid = (unsigned)pid};
	struct stat st;

	for (int i = 0; i < SC_CALL_CNT; i++)
		cfg.call_of[calls[i].nr] = (signed char)(i + 1);
	if (stat("/proc/self/ns/pid", &st))
		return -errno;
	cfg.ns_dev = st.st_dev;
	cfg.ns_ino = st.st_ino;
	if (!m || bpf_map__value_size(m) != sizeof cfg)
		return -EINVAL;
	return bpf_map__set_initial_value(m, &cfg, sizeof cfg);
}

static int attach(struct bpf_object *obj, struct bpf_link **ret_links)
{
	struct bpf_program *p;
	int n = 0;

	bpf_object__for_each_program(p, obj)
	{
		if (n == PROGS)
			return -E2BIG;
		ret_links[n] = bpf_program__attach(p);
		if (!ret_links[n])
			return -errno;
		n++;
	}
	return 0;
}

static int read_sum(int fd, uint32_t call, struct sc_sum *ret_sum)
{
	int cpus = libbpf_num_possible_cpus();
	struct sc_sum *v = cpus > 0 ? calloc((size_t)cpus, sizeof *v) : NULL;

	*ret_sum = (struct sc_sum){0};
	if (!v || bpf_map_lookup_elem(fd, &call, v)) {
		free(v);
		return -1;
	}
	for (int i = 0; i < cpus; i++) {
		ret_sum->calls += v[i].calls;
		ret_sum->ns += v[i].ns;
	}
	free(v);
	return 0;
}

static void print(int fd, double seconds)
{
	struct sc_sum s;
	unsigned long long total = 0;
	const char *comma = "";

	printf("{\"seconds\":%.6f,\"calls\":{", seconds);
	for (uint32_t i = 0; i < SC_CALL_CNT; i++) {
		if (read_sum(fd, i, &s) || !s.calls)
			continue;
		total += s.ns;
		printf("%s\"%s\":{\"n\":%llu,\"ns\":%llu}", comma, calls[i].name, s.calls, s.ns);
		comma = ",";
	}
	printf("},\"total_ns\":%llu}\n", total);
}

int main(int argc, char **argv)
{
	struct bpf_link *links[PROGS] = {0};
	double seconds = argc == 4 ? strtod(argv[3], NULL) : 0;

	if (!(seconds > 0 && seconds <= SECONDS_MAX)) {
		fprintf(stderr, "usage: sys_cost OBJ PID SECONDS\n");
		return 2;
	}
	struct bpf_object *obj = bpf_object__open_file(argv[1], NULL);
	int rc = obj ? set_target(obj, atoi(argv[2])) : -errno;
	if (!rc)
		rc = bpf_object__load(obj);
	if (!rc)
		rc = attach(obj, links);
	if (!rc) {
		double start = now_s();
		struct timespec t = {.tv_sec = (time_t)seconds,
				     .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
		nanosleep(&t, NULL);
		double took = now_s() - start;
		for (int i = 0; i < PROGS; i++)
			bpf_link__destroy(links[i]);
		print(bpf_object__find_map_fd_by_name(obj, "sums"), took);
	} else {
		fprintf(stderr, "sys_cost: %s\n", strerror(-rc));
	}
	bpf_object__close(obj);
	return rc ? 1 : 0;
}

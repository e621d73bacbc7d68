/* SPDX-License-Identifier: Apache-2.0 */
/* sys_cost.h - the system calls whose CPU time sys_cost.c adds up, and what its program counts. */
#ifndef SL_BENCH_SYS_COST_H
#define SL_BENCH_SYS_COST_H

#define SC_CALLS(X)                                                                                \
	X(io_uring_enter)                                                                          \
	X(pwrite64)                                                                                \
	X(pwritev)                                                                                 \
	X(pwritev2)                                                                                \
	X(fallocate)                                                                               \
	X(ftruncate)                                                                               \
	X(fdatasync)                                                                               \
	X(fsync)                                                                                   \
	X(sync_file_range)

enum sc_call {
#define X(name) SC_##name,
	SC_CALLS(X)
#undef X
		SC_CALL_CNT
};

struct sc_sum {
	unsigned long long calls, ns;
};

#define SC_NR_MAX 512 /* larger than any of their numbers */

struct sc_cfg {                            /* constant while the program is loaded */
	unsigned long long ns_dev, ns_ino; /* PID namespace in which */
	unsigned tgid;                     /* is the process */
	signed char call_of[SC_NR_MAX];    /* enum sc_call + 1 by number; 0: not ours */
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_cost.bpf.c - CPU time that the threads of one process spend inside some system calls: from
 * entry to exit, without what they were switched out for. Interrupts that came meanwhile count in.
 */
#include "sys_cost.h"

#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* The one field that is read of the kernel's struct; its place is found when this is loaded. */
struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

struct pt_regs;

const volatile struct sc_cfg cfg;

struct inside {
	__u64 since, out_since, out;
	__u32 call;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, int); /* thread */
	__type(value, struct inside);
} threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SC_CALL_CNT);
	__type(key, __u32);
	__type(value, struct sc_sum);
} sums SEC(".maps");

SEC("tp_btf/sys_enter")
int BPF_PROG(sl_bench_enter, struct pt_regs *regs, long nr)
{
	int tid = (int)bpf_get_current_pid_tgid();
	struct bpf_pidns_info me; /* a container's process ids are not the kernel's own */

	(void)regs;
	if (nr < 0 || nr >= SC_NR_MAX || !cfg.call_of[nr])
		return 0;
	if (bpf_get_ns_current_pid_tgid(cfg.ns_dev, cfg.ns_ino, &me, sizeof me) ||
	    me.tgid != cfg.tgid)
		return 0;
	struct inside in = {.since = bpf_ktime_get_ns(), .call = (__u32)cfg.call_of[nr] - 1};
	bpf_map_update_elem(&threads, &tid, &in, BPF_ANY);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sl_bench_exit, struct pt_regs *regs, long ret)
{
	int tid = (int)bpf_get_current_pid_tgid();

	(void)regs;
	(void)ret;
	struct inside *in = bpf_map_lookup_elem(&threads, &tid);
	if (!in)
		return 0;
	__u32 call = in->call;
	struct sc_sum *s = bpf_map_lookup_elem(&sums, &call);
	if (s) {
		s->calls++;
		s->ns += bpf_ktime_get_ns() - in->since - in->out;
	}
	bpf_map_delete_elem(&threads, &tid);
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(sl_bench_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	int from = prev->pid, to = next->pid;
	struct inside *in = bpf_map_lookup_elem(&threads, &from);

	(void)preempt;
	if (in)
		in->out_since = bpf_ktime_get_ns();
	in = bpf_map_lookup_elem(&threads, &to);
	if (in && in->out_since) {
		in->out += bpf_ktime_get_ns() - in->out_since;
		in->out_since = 0;
	}
	return 0;
}

char _license[] SEC("license") = "GPL";

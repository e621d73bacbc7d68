/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slt_send - a paced UDP sender for tests: plain kernel sockets, sendmmsg, no offloads of its own.
 *
 * Either numbered, hashed messages (slt_payload.h) at a fixed rate for a time or a count, or the
 * lines of files, one datagram per line without its CR LF. Every device is a source address of its
 * own; devices take turns every --burst datagrams, so that the receiver of a test can tell which
 * device sent which one. A datagram that the kernel refuses is sent again: what is reported as
 * sent left the socket exactly once, in order, from one CPU.
 *
 * One JSON line on stdout at the end, also after SIGTERM or SIGINT:
 *   {"sent": N, "seconds": S, "again": refusals by the kernel, "late_us_max": worst delay}
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "slt_payload.h"

#define DEVICES_MAX    256
#define FILES_MAX      64
#define BURST_MAX      64
#define LINE_MAX_BYTES 65507

struct device {
	int fd;
	int family;
};

struct sender {
	struct device dev[DEVICES_MAX];
	unsigned dev_cnt;
	struct sockaddr_storage to4, to6;
	unsigned burst;
	uint64_t rate;  /* datagrams per second, 0 = as fast as it goes */
	uint64_t count; /* 0 = no bound */
	double seconds; /* 0 = no bound */
	size_t size;
	uint64_t first;
	uint64_t sent, again, late_ns_max;
	uint64_t start_ns;
};

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "slt_send: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static int parse_addr(const char *text, uint16_t port, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return AF_INET;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		return AF_INET6;
	}
	errno = EINVAL;
	die(text);
	return -1;
}

static socklen_t addr_len(int family)
{
	return family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void enter_netns(const char *name)
{
	char path[128];
	snprintf(path, sizeof(path), "/run/netns/%s", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
		die(path);
	close(fd);
}

static void add_device(struct sender *s, const char *addr, uint16_t port)
{
	if (s->dev_cnt == DEVICES_MAX) {
		errno = E2BIG;
		die("--src");
	}
	struct sockaddr_storage a;
	int family = parse_addr(addr, port, &a);
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int sndbuf = 4 << 20;
	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
	if (bind(fd, (struct sockaddr *)&a, addr_len(family)) != 0)
		die(addr);
	s->dev[s->dev_cnt++] = (struct device){.fd = fd, .family = family};
}

/* "10.0.0.5,10.0.0.10-40,fd00::1": the last octet of an IPv4 address may be a range. */
static void add_sources(struct sender *s, char *list, uint16_t port)
{
	for (char *save, *item = strtok_r(list, ",", &save); item;
	     item = strtok_r(NULL, ",", &save)) {
		char *dash = strchr(item, '-'), *dot = strrchr(item, '.');
		if (!dash || !dot) {
			add_device(s, item, port);
			continue;
		}
		unsigned lo = (unsigned)atoi(dot + 1), hi = (unsigned)atoi(dash + 1);
		for (unsigned i = lo; i <= hi && hi < 256; i++) {
			char addr[64];
			snprintf(addr, sizeof(addr), "%.*s.%u", (int)(dot - item), item, i);
			add_device(s, addr, port);
		}
	}
}

/* Sends n datagrams of one device, all of them. */
static void send_burst(struct sender *s, unsigned device, struct iovec *iov, unsigned n)
{
	struct device *d = &s->dev[device];
	struct sockaddr_storage *to = d->family == AF_INET ? &s->to4 : &s->to6;
	struct mmsghdr m[BURST_MAX];
	memset(m, 0, n * sizeof(m[0]));
	for (unsigned i = 0; i < n; i++) {
		m[i].msg_hdr.msg_name = to;
		m[i].msg_hdr.msg_namelen = addr_len(d->family);
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	for (unsigned done = 0; done < n;) {
		int r = sendmmsg(d->fd, m + done, n - done, 0);
		if (r > 0) {
			done += (unsigned)r;
			continue;
		}
		if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			die("sendmmsg");
		s->again++;
		nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
	}
	s->sent += n;
}

/* Waits until datagram number `sent` is due. */
static void pace(struct sender *s)
{
	if (!s->rate)
		return;
	uint64_t due = s->start_ns + (uint64_t)((double)s->sent * 1e9 / (double)s->rate);
	uint64_t now = now_ns();
	if (now >= due) {
		if (now - due > s->late_ns_max)
			s->late_ns_max = now - due;
		return;
	}
	if (due - now < 200000)
		return; /* early by less than a tick: not worth a wake-up */
	struct timespec t = {.tv_sec = (time_t)(due / 1000000000u),
			     .tv_nsec = (long)(due % 1000000000u)};
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static unsigned device_of(const struct sender *s, uint64_t n)
{
	return (unsigned)(n / s->burst % s->dev_cnt);
}

static void run_numbered(struct sender *s)
{
	static char buf[BURST_MAX][SLT_PAYLOAD_MAX];
	struct iovec iov[BURST_MAX];
	uint64_t end_ns = s->start_ns + (uint64_t)(s->seconds * 1e9);
	while (!stop && (!s->count || s->sent < s->count) &&
	       (s->seconds <= 0 || now_ns() < end_ns)) {
		unsigned device = device_of(s, s->sent), n = s->burst;
		if (s->count && s->count - s->sent < n)
			n = (unsigned)(s->count - s->sent);
		for (unsigned i = 0; i < n; i++) {
			slt_payload_make(buf[i], s->size, s->first + s->sent + i, device);
			iov[i] = (struct iovec){.iov_base = buf[i], .iov_len = s->size};
		}
		pace(s);
		send_burst(s, device, iov, n);
	}
}

static void run_file(struct sender *s, const char *path)
{
	FILE *f = fopen(path, "re");
	if (!f)
		die(path);
	char *line = NULL;
	size_t cap = 0;
	for (ssize_t n; !stop && (n = getline(&line, &cap, f)) >= 0;) {
		while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
			n--;
		if (n > LINE_MAX_BYTES) {
			errno = EMSGSIZE;
			die(path);
		}
		struct iovec iov = {.iov_base = line, .iov_len = (size_t)n};
		pace(s);
		send_burst(s, device_of(s, s->sent), &iov, 1);
	}
	free(line);
	fclose(f);
}

struct args {
	const char *to, *to6, *lines[FILES_MAX];
	char *src;
	unsigned file_cnt;
	uint16_t port, sport;
	int cpu;
};

enum {
	OPT_NETNS = 256,
	OPT_TO,
	OPT_TO6,
	OPT_PORT,
	OPT_SRC,
	OPT_SPORT,
	OPT_RATE,
	OPT_SECONDS,
	OPT_COUNT,
	OPT_SIZE,
	OPT_FIRST,
	OPT_BURST,
	OPT_CPU,
	OPT_LINES
};

static const struct option options[] = {
	{"netns", required_argument, NULL, OPT_NETNS},
	{"to", required_argument, NULL, OPT_TO},
	{"to6", required_argument, NULL, OPT_TO6},
	{"port", required_argument, NULL, OPT_PORT},
	{"src", required_argument, NULL, OPT_SRC},
	{"sport", required_argument, NULL, OPT_SPORT},
	{"rate", required_argument, NULL, OPT_RATE},
	{"seconds", required_argument, NULL, OPT_SECONDS},
	{"count", required_argument, NULL, OPT_COUNT},
	{"size", required_argument, NULL, OPT_SIZE},
	{"first", required_argument, NULL, OPT_FIRST},
	{"burst", required_argument, NULL, OPT_BURST},
	{"cpu", required_argument, NULL, OPT_CPU},
	{"lines", required_argument, NULL, OPT_LINES},
	{NULL, 0, NULL, 0},
};

/* What is sent, and how fast. False: it is another option. */
static bool take_load(struct sender *s, int option, const char *value)
{
	uint64_t n = strtoull(value, NULL, 10);

	switch (option) {
	case OPT_RATE:
		s->rate = n;
		return true;
	case OPT_SECONDS:
		s->seconds = atof(value);
		return true;
	case OPT_COUNT:
		s->count = n;
		return true;
	case OPT_SIZE:
		s->size = n;
		return true;
	case OPT_FIRST:
		s->first = n;
		return true;
	case OPT_BURST:
		s->burst = (unsigned)n;
		return true;
	default:
		return false;
	}
}

/* From where to where. */
static void take_path(struct args *a, int option, char *value)
{
	switch (option) {
	case OPT_NETNS:
		enter_netns(value);
		break;
	case OPT_TO:
		a->to = value;
		break;
	case OPT_TO6:
		a->to6 = value;
		break;
	case OPT_PORT:
		a->port = (uint16_t)atoi(value);
		break;
	case OPT_SRC:
		a->src = value;
		break;
	case OPT_SPORT:
		a->sport = (uint16_t)atoi(value);
		break;
	case OPT_CPU:
		a->cpu = atoi(value);
		break;
	case OPT_LINES:
		if (a->file_cnt == FILES_MAX) {
			errno = E2BIG;
			die("--lines");
		}
		a->lines[a->file_cnt++] = value;
		break;
	}
}

static bool take_args(int argc, char **argv, struct args *a, struct sender *s)
{
	for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (o == '?')
			return false;
		if (!take_load(s, o, optarg))
			take_path(a, o, optarg);
	}
	if ((a->to || a->to6) && a->src && s->burst >= 1 && s->burst <= BURST_MAX &&
	    s->size >= SLT_PAYLOAD_MIN && s->size <= SLT_PAYLOAD_MAX && optind == argc)
		return true;
	fprintf(stderr, "usage: slt_send --to ADDR --port N --src LIST [--netns NAME] [--rate N]"
			" [--count N] [--seconds S] [--size N] [--burst N] [--lines FILE]...\n");
	return false;
}

static void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		die("--cpu");
}

int main(int argc, char **argv)
{
	static struct sender s = {.burst = 1, .size = 200};
	struct args a = {.port = 514, .cpu = sched_getcpu()};

	if (!take_args(argc, argv, &a, &s))
		return 2;
	if (a.to)
		parse_addr(a.to, a.port, &s.to4);
	if (a.to6)
		parse_addr(a.to6, a.port, &s.to6);
	add_sources(&s, a.src, a.sport);
	pin(a.cpu); /* one CPU: the kernel keeps the order of what one CPU sends through a veth */
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	s.start_ns = now_ns();
	for (unsigned i = 0; i < a.file_cnt; i++)
		run_file(&s, a.lines[i]);
	if (!a.file_cnt)
		run_numbered(&s);
	printf("{\"sent\": %" PRIu64 ", \"seconds\": %.3f, \"again\": %" PRIu64
	       ", \"late_us_max\": %" PRIu64 "}\n",
	       s.sent, (double)(now_ns() - s.start_ns) / 1e9, s.again, s.late_ns_max / 1000);
	return 0;
}

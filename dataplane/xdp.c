/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fdscan.h"
#include "platform/base/log.h"
#include "xdp.h"

#define POSSIBLE_CPUS_MAX 1024
#define PROG_MAPS_MAX     16

extern const uint8_t sl_xdp_object[];
extern const size_t sl_xdp_object_len;

struct sl_xdp {
	char ifname[16];
	int ifindex;
	int lock;  /* abstract socket: this process is the interface's Sluice */
	int memfd; /* the program's ELF file */
	char path[40];
	uint32_t prog_id;
	uint8_t mode; /* XDP_ATTACHED_* */
	uint32_t map_id[PROG_MAPS_MAX];
	uint32_t map_cnt, btf_id;
	int cfg, listen, stat; /* map descriptors, -1 if not found yet */
	int stranger;          /* a program to put back, or -1 */
	uint32_t stranger_flags;
};

struct attached {
	uint32_t id;
	uint8_t mode;
	char name[BPF_OBJ_NAME_LEN];
};

static uint32_t mode_flag(uint8_t mode)
{
	if (mode == XDP_ATTACHED_SKB)
		return XDP_FLAGS_SKB_MODE;
	return mode == XDP_ATTACHED_HW ? XDP_FLAGS_HW_MODE : XDP_FLAGS_DRV_MODE;
}

/* What is attached to the interface in this namespace. id 0: nothing. */
static int query(int ifindex, struct attached *ret_a)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, o);
	struct attached a = {0};
	int rc = bpf_xdp_query(ifindex, 0, &o);

	if (rc)
		return rc;
	a.id = o.prog_id ? o.prog_id : o.drv_prog_id ? o.drv_prog_id : o.skb_prog_id;
	a.mode = o.attach_mode;
	if (a.mode == XDP_ATTACHED_MULTI)
		a.mode = o.drv_prog_id ? XDP_ATTACHED_DRV : XDP_ATTACHED_SKB;
	if (a.id) {
		struct bpf_prog_info info = {0};
		uint32_t len = sizeof(info);
		int fd = bpf_prog_get_fd_by_id(a.id);
		if (fd >= 0) {
			if (!bpf_obj_get_info_by_fd(fd, &info, &len))
				snprintf(a.name, sizeof(a.name), "%s", info.name);
			close(fd);
		}
	}
	*ret_a = a;
	return 0;
}

static bool is_ours(const struct attached *a)
{
	return !strncmp(a->name, SL_XDP_PREFIX, strlen(SL_XDP_PREFIX));
}

/* Takes off exactly the program `id`: if another came meanwhile, the kernel refuses. */
static int detach(int ifindex, uint32_t id, uint8_t mode)
{
	int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0)
		return -errno;
	LIBBPF_OPTS(bpf_xdp_attach_opts, o, .old_prog_fd = fd);
	int rc = bpf_xdp_detach(ifindex, mode_flag(mode) | XDP_FLAGS_REPLACE, &o);
	close(fd);
	return rc;
}

const char *sl_xdp_stranger(int ifindex, char *buf, size_t len)
{
	struct attached a;

	if (query(ifindex, &a) || !a.id || is_ours(&a))
		return NULL;
	snprintf(buf, len, "%s", a.name);
	return buf;
}

int sl_xdp_try(int ifindex, bool native)
{
	uint32_t flags = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
	struct bpf_object *obj = bpf_object__open_mem(sl_xdp_object, sl_xdp_object_len, NULL);

	if (!obj)
		return -errno;
	int rc = bpf_object__load(obj);
	if (!rc) {
		int fd = bpf_program__fd(bpf_object__next_program(obj, NULL));
		rc = bpf_xdp_attach(ifindex, fd, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
		if (!rc)
			(void)bpf_xdp_detach(ifindex, flags, NULL);
	}
	bpf_object__close(obj);
	return rc;
}

/* An abstract address belongs to the network namespace and dies with the process. */
static int claim(int ifindex, int *ret_fd)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int n = snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "sluice-xdp-%d", ifindex);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&un,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n))) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	*ret_fd = fd;
	return 0;
}

static int clear_interface(const char *ifname, int ifindex, char *err, size_t errlen)
{
	struct attached a;
	int rc = query(ifindex, &a);

	if (rc) {
		snprintf(err, errlen, "%s: cannot ask for its XDP program: %s", ifname,
			 strerror(-rc));
		return rc;
	}
	if (!a.id)
		return 0;
	if (!is_ours(&a)) {
		snprintf(
			err, errlen,
			"%s already has an XDP program that is not ours (\"%s\", id %u); it is "
			"left "
			"alone. Take it off (ip link set dev %s xdp off) or use backend: af_packet",
			ifname, a.name, a.id, ifname);
		return -EBUSY;
	}
	rc = detach(ifindex, a.id, a.mode);
	if (rc) {
		snprintf(err, errlen, "%s: cannot take off what an earlier run left attached: %s",
			 ifname, strerror(-rc));
		return rc;
	}
	sl_log(SL_LOG_INFO, "xdp", "%s: took off a program that an earlier run left attached",
	       ifname);
	return 0;
}

static int make_file(struct sl_xdp *x)
{
	x->memfd = memfd_create("sluice_xdp.o", MFD_CLOEXEC);
	if (x->memfd < 0)
		return -errno;
	for (size_t done = 0; done < sl_xdp_object_len;) {
		ssize_t n = write(x->memfd, sl_xdp_object + done, sl_xdp_object_len - done);
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	snprintf(x->path, sizeof(x->path), "/proc/self/fd/%d", x->memfd);
	return 0;
}

int sl_xdp_open(const char *ifname, int ifindex, struct sl_xdp **ret_x, char *err, size_t errlen)
{
	struct sl_xdp *x = calloc(1, sizeof(*x));

	if (!x) {
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	snprintf(x->ifname, sizeof(x->ifname), "%s", ifname);
	x->ifindex = ifindex;
	x->lock = x->memfd = x->cfg = x->listen = x->stat = x->stranger = -1;
	int rc = claim(ifindex, &x->lock);
	if (rc == -EADDRINUSE) {
		snprintf(err, errlen, "%s is in use by another running Sluice", ifname);
		rc = -EBUSY;
		goto out;
	}
	if (rc) {
		snprintf(err, errlen, "%s: cannot claim it: %s", ifname, strerror(-rc));
		goto out;
	}
	rc = clear_interface(ifname, ifindex, err, errlen);
	if (rc)
		goto out;
	rc = make_file(x);
	if (rc) {
		snprintf(err, errlen, "no memory for the XDP program: %s", strerror(-rc));
		goto out;
	}
	*ret_x = x;
	return 0;
out:
	sl_xdp_close(x);
	return rc;
}

const char *sl_xdp_path(const struct sl_xdp *x)
{
	return x->path;
}

bool sl_xdp_native(const struct sl_xdp *x)
{
	return x->mode != XDP_ATTACHED_SKB;
}

static void take_map(struct sl_xdp *x, uint32_t id)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);
	int fd = bpf_map_get_fd_by_id(id);

	if (fd < 0)
		return;
	if (bpf_obj_get_info_by_fd(fd, &info, &len)) {
		close(fd);
		return;
	}
	if (!strcmp(info.name, SL_XDP_MAP_CFG))
		x->cfg = fd;
	else if (!strcmp(info.name, SL_XDP_MAP_LISTEN))
		x->listen = fd;
	else if (!strcmp(info.name, SL_XDP_MAP_STAT))
		x->stat = fd;
	else
		close(fd);
}

/* The program's number and those of its maps. */
static int learn(struct sl_xdp *x, const struct attached *a)
{
	struct bpf_prog_info info = {.nr_map_ids = PROG_MAPS_MAX, .map_ids = (uintptr_t)x->map_id};
	uint32_t len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(a->id);

	if (fd < 0)
		return -errno;
	int rc = bpf_obj_get_info_by_fd(fd, &info, &len);
	close(fd);
	if (rc)
		return rc;
	x->prog_id = a->id;
	x->mode = a->mode;
	x->btf_id = info.btf_id;
	x->map_cnt = SL_MIN(info.nr_map_ids, (uint32_t)PROG_MAPS_MAX);
	return 0;
}

int sl_xdp_attached(struct sl_xdp *x, char *err, size_t errlen)
{
	struct attached a;

	if (!query(x->ifindex, &a) && a.id && is_ours(&a) && !learn(x, &a)) {
		for (uint32_t i = 0; i < x->map_cnt; i++)
			take_map(x, x->map_id[i]);
		if (x->cfg >= 0 && x->listen >= 0 && x->stat >= 0)
			return 0;
	}
	snprintf(err, errlen, "%s: the XDP program is not attached as expected", x->ifname);
	return -EIO;
}

int sl_xdp_listeners(struct sl_xdp *x, const struct sl_cfg_listener *l, uint32_t cnt)
{
	static const uint8_t families[] = {4, 6};
	struct sl_xdp_key k;
	uint8_t on = 1;

	while (!bpf_map_get_next_key(x->listen, NULL, &k))
		if (bpf_map_delete_elem(x->listen, &k))
			return -errno;
	for (uint32_t i = 0; i < cnt; i++) {
		for (size_t f = 0; f < SL_ARRAY_SIZE(families); f++) {
			if (l[i].addr.family && l[i].addr.family != families[f])
				continue;
			memset(&k, 0, sizeof(k));
			k.family = families[f];
			k.port = htons(l[i].udp);
			if (l[i].addr.family)
				memcpy(k.ip, l[i].addr.ip, k.family == 4 ? 4 : 16);
			if (bpf_map_update_elem(x->listen, &k, &on, BPF_ANY))
				return -errno;
		}
	}
	return 0;
}

int sl_xdp_gate(struct sl_xdp *x, const struct sl_xdp_cfg *cfg)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(x->cfg, &zero, cfg, BPF_ANY) ? -errno : 0;
}

int sl_xdp_stats(const struct sl_xdp *x, uint64_t ret_stat[SL_XDP_STAT_CNT])
{
	uint64_t per_cpu[POSSIBLE_CPUS_MAX];
	int cpus = libbpf_num_possible_cpus();

	if (cpus < 1 || cpus > POSSIBLE_CPUS_MAX)
		return -E2BIG;
	for (uint32_t row = 0; row < SL_XDP_STAT_CNT; row++) {
		uint64_t sum = 0;
		if (bpf_map_lookup_elem(x->stat, &row, per_cpu))
			return -errno;
		for (int c = 0; c < cpus; c++)
			sum += per_cpu[c];
		ret_stat[row] = sum;
	}
	return 0;
}

void sl_xdp_hold_stranger(struct sl_xdp *x)
{
	struct attached a;

	if (!x->prog_id || query(x->ifindex, &a) || !a.id || a.id == x->prog_id)
		return;
	x->stranger = bpf_prog_get_fd_by_id(a.id);
	x->stranger_flags = mode_flag(a.mode);
}

static bool ours_by_id(const struct sl_xdp *x, int fd, const char *kind)
{
	struct bpf_prog_info prog = {0};
	struct bpf_map_info map = {0};
	struct bpf_btf_info btf = {0};
	uint32_t len;

	if (!strcmp(kind, "anon_inode:bpf-prog")) {
		len = sizeof(prog);
		return !bpf_obj_get_info_by_fd(fd, &prog, &len) && prog.id == x->prog_id;
	}
	if (!strcmp(kind, "anon_inode:btf")) {
		len = sizeof(btf);
		return !bpf_obj_get_info_by_fd(fd, &btf, &len) && btf.id == x->btf_id;
	}
	len = sizeof(map);
	if (strcmp(kind, "anon_inode:bpf-map") || bpf_obj_get_info_by_fd(fd, &map, &len))
		return false;
	for (uint32_t i = 0; i < x->map_cnt; i++)
		if (map.id == x->map_id[i])
			return true;
	return false;
}

/* The driver never closes the program and maps it loaded: they are known by their numbers. */
static int close_ours(int fd, void *arg)
{
	char kind[32], path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, kind, sizeof(kind) - 1);
	if (n <= 0)
		return 0;
	kind[n] = 0;
	if (ours_by_id(arg, fd, kind))
		close(fd);
	return 0;
}

void sl_xdp_close(struct sl_xdp *x)
{
	struct attached a;

	if (!x)
		return;
	/* A driver that failed half-way leaves the program attached; prog_id is 0 then. */
	if (x->lock >= 0 && x->memfd >= 0 && !query(x->ifindex, &a) && a.id &&
	    (a.id == x->prog_id || (!x->prog_id && is_ours(&a)))) {
		if (!x->prog_id)
			(void)learn(x, &a);
		(void)detach(x->ifindex, a.id, a.mode);
	}
	if (x->stranger >= 0) {
		if (bpf_xdp_attach(x->ifindex, x->stranger,
				   x->stranger_flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL) == 0)
			sl_log(SL_LOG_WARN, "xdp",
			       "%s: somebody had replaced our program; put back", x->ifname);
		close(x->stranger);
	}
	if (x->prog_id)
		(void)sl_fd_each(close_ours, x);
	if (x->memfd >= 0)
		close(x->memfd);
	if (x->lock >= 0)
		close(x->lock);
	free(x);
}

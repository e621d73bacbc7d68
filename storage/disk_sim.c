/* SPDX-License-Identifier: Apache-2.0 */
#include "disk_sim.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512u
#define NONE   UINT32_MAX

enum kind { WRITE, TRUNC, SYNC, SYNC_ALL, NAME, RENAME, UNLINK };

struct op {
	enum kind kind;
	uint32_t node, dir, dir2;
	uint64_t off, len; /* TRUNC: off is the size */
	uint8_t *data;     /* NULL: zeros */
	char *name, *name2;
};

struct node { /* a file or directory there ever was */
	ino_t ino;
	bool is_dir;
	uint8_t *bytes; /* at the start */
	size_t size;
};

struct name {
	uint32_t dir, node;
	char *name;
};

static struct {
	pthread_mutex_t lock;
	bool on;
	struct op *op;
	uint64_t op_cnt, op_cap;
	struct node *node; /* [0]: the root */
	uint32_t node_cnt, node_cap;
	struct name *name; /* at the start */
	uint32_t name_cnt, name_cap;
} sim = {.lock = PTHREAD_MUTEX_INITIALIZER};

#define PUSH(array, cnt, cap)                                                                      \
	((cnt) == (cap) ? (void)((cap) = (cap) ? 2 * (cap) : 64,                                   \
				 (array) = must(realloc((array), (cap) * sizeof(*(array)))))       \
			: (void)0,                                                                 \
	 &(array)[(cnt)++])

static void *must(void *p)
{
	SL_ASSERT(p);
	return p;
}

/* ---- recording ----------------------------------------------------------------------------- */

static uint32_t add_node(ino_t ino, bool is_dir)
{
	*PUSH(sim.node, sim.node_cnt, sim.node_cap) = (struct node){.ino = ino, .is_dir = is_dir};
	return sim.node_cnt - 1;
}

static uint32_t node_of(const struct stat *st)
{
	for (uint32_t i = sim.node_cnt; i > 0; i--) /* a number may be used again: the newest */
		if (sim.node[i - 1].ino == st->st_ino)
			return i - 1;
	return NONE;
}

static uint32_t node_of_fd(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? NONE : node_of(&st);
}

/* The directory that holds the last part of a path, which *ret_name is set to. */
static uint32_t dir_of(int dirfd, const char *path, const char **ret_name)
{
	char dir[512] = ".";
	struct stat st;
	const char *slash = strrchr(path, '/');

	*ret_name = slash ? slash + 1 : path;
	if (slash)
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	return fstatat(dirfd, dir, &st, 0) ? NONE : node_of(&st);
}

static struct op *add_op(enum kind kind, uint32_t node)
{
	struct op *o = PUSH(sim.op, sim.op_cnt, sim.op_cap);

	*o = (struct op){.kind = kind, .node = node};
	return o;
}

static void add_name(uint32_t dir, const char *name, uint32_t node)
{
	struct op *o = add_op(NAME, node);

	o->dir = o->dir2 = dir;
	o->name = must(strdup(name));
}

static void load_tree(int dirfd, uint32_t dir)
{
	DIR *d = must(fdopendir(dirfd));
	struct dirent *e;
	struct stat st;

	while ((e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		SL_ASSERT(fstatat(dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0);
		uint32_t n = add_node(st.st_ino, S_ISDIR(st.st_mode));
		*PUSH(sim.name, sim.name_cnt, sim.name_cap) =
			(struct name){dir, n, must(strdup(e->d_name))};
		int fd = openat(dirfd, e->d_name, O_RDONLY);
		SL_ASSERT(fd >= 0);
		if (S_ISDIR(st.st_mode)) {
			load_tree(fd, n);
			continue;
		}
		sim.node[n].size = (size_t)st.st_size;
		sim.node[n].bytes = must(malloc((size_t)st.st_size + 1));
		SL_ASSERT(pread(fd, sim.node[n].bytes, (size_t)st.st_size, 0) == st.st_size);
		close(fd);
	}
	closedir(d);
}

static void forget(void)
{
	for (uint64_t i = 0; i < sim.op_cnt; i++) {
		free(sim.op[i].data);
		free(sim.op[i].name);
		free(sim.op[i].name2);
	}
	for (uint32_t i = 0; i < sim.node_cnt; i++)
		free(sim.node[i].bytes);
	for (uint32_t i = 0; i < sim.name_cnt; i++)
		free(sim.name[i].name);
	sim.op_cnt = sim.node_cnt = sim.name_cnt = 0;
}

void sl_sim_start(const char *root)
{
	struct stat st;
	int fd = open(root, O_RDONLY | O_DIRECTORY);

	SL_ASSERT(fd >= 0 && fstat(fd, &st) == 0);
	forget();
	add_node(st.st_ino, true);
	load_tree(fd, 0);
	sim.on = true;
}

void sl_sim_stop(void)
{
	sim.on = false;
}

uint64_t sl_sim_ops(void)
{
	pthread_mutex_lock(&sim.lock);
	uint64_t n = sim.op_cnt;
	pthread_mutex_unlock(&sim.lock);
	return n;
}

/* ---- the wrapped calls: done and noted under one lock, so that their order is one ------------ */

ssize_t __real_pwrite64(int fd, const void *buf, size_t len, off_t off);
ssize_t __wrap_pwrite64(int fd, const void *buf, size_t len, off_t off);
int __real_ftruncate64(int fd, off_t size);
int __wrap_ftruncate64(int fd, off_t size);
int __real_fallocate64(int fd, int mode, off_t off, off_t len);
int __wrap_fallocate64(int fd, int mode, off_t off, off_t len);
int __real_openat64(int dirfd, const char *path, int flags, ...);
int __wrap_openat64(int dirfd, const char *path, int flags, ...);
int __real_mkdirat(int dirfd, const char *path, mode_t mode);
int __wrap_mkdirat(int dirfd, const char *path, mode_t mode);
int __real_renameat(int from, const char *old, int to, const char *name);
int __wrap_renameat(int from, const char *old, int to, const char *name);
int __real_unlinkat(int dirfd, const char *path, int flags);
int __wrap_unlinkat(int dirfd, const char *path, int flags);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_syncfs(int fd);

static bool all_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

ssize_t __wrap_pwrite64(int fd, const void *buf, size_t len, off_t off)
{
	pthread_mutex_lock(&sim.lock);
	ssize_t n = __real_pwrite64(fd, buf, len, off);
	uint32_t node = sim.on && n > 0 ? node_of_fd(fd) : NONE;
	if (node != NONE) {
		struct op *o = add_op(WRITE, node);
		o->off = (uint64_t)off;
		o->len = (uint64_t)n;
		if (!all_zero(buf, (size_t)n))
			o->data = memcpy(must(malloc((size_t)n)), buf, (size_t)n);
	}
	pthread_mutex_unlock(&sim.lock);
	return n;
}

int __wrap_ftruncate64(int fd, off_t size)
{
	pthread_mutex_lock(&sim.lock);
	int rc = __real_ftruncate64(fd, size);
	uint32_t node = sim.on && rc == 0 ? node_of_fd(fd) : NONE;
	if (node != NONE)
		add_op(TRUNC, node)->off = (uint64_t)size;
	pthread_mutex_unlock(&sim.lock);
	return rc;
}

int __wrap_fallocate64(int fd, int mode, off_t off, off_t len)
{
	struct stat st;

	pthread_mutex_lock(&sim.lock);
	int rc = __real_fallocate64(fd, mode, off, len);
	uint32_t node = sim.on && rc == 0 ? node_of_fd(fd) : NONE;
	if (node != NONE && fstat(fd, &st) == 0)
		add_op(TRUNC, node)->off = (uint64_t)st.st_size;
	pthread_mutex_unlock(&sim.lock);
	return rc;
}

int __wrap_openat64(int dirfd, const char *path, int flags, ...)
{
	const char *name;
	struct stat st;
	va_list ap;

	va_start(ap, flags);
	mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	pthread_mutex_lock(&sim.lock);
	uint32_t dir = sim.on && (flags & O_CREAT) ? dir_of(dirfd, path, &name) : NONE;
	bool made = dir != NONE && fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW);
	int fd = __real_openat64(dirfd, path, flags, mode);
	if (fd >= 0 && made && fstat(fd, &st) == 0)
		add_name(dir, name, add_node(st.st_ino, false));
	else if (fd >= 0 && dir != NONE && (flags & O_TRUNC))
		add_op(TRUNC, node_of_fd(fd));
	pthread_mutex_unlock(&sim.lock);
	return fd;
}

int __wrap_mkdirat(int dirfd, const char *path, mode_t mode)
{
	const char *name;
	struct stat st;

	pthread_mutex_lock(&sim.lock);
	uint32_t dir = sim.on ? dir_of(dirfd, path, &name) : NONE;
	int rc = __real_mkdirat(dirfd, path, mode);
	if (rc == 0 && dir != NONE && fstatat(dirfd, path, &st, 0) == 0)
		add_name(dir, name, add_node(st.st_ino, true));
	pthread_mutex_unlock(&sim.lock);
	return rc;
}

int __wrap_renameat(int from, const char *old, int to, const char *path)
{
	const char *name, *name2;
	struct stat st;

	pthread_mutex_lock(&sim.lock);
	int rc = __real_renameat(from, old, to, path);
	uint32_t dir = sim.on && rc == 0 ? dir_of(from, old, &name) : NONE;
	if (dir != NONE && fstatat(to, path, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		struct op *o = add_op(RENAME, node_of(&st));
		o->dir = dir;
		o->dir2 = dir_of(to, path, &name2);
		o->name = must(strdup(name));
		o->name2 = must(strdup(name2));
	}
	pthread_mutex_unlock(&sim.lock);
	return rc;
}

int __wrap_unlinkat(int dirfd, const char *path, int flags)
{
	const char *name;

	pthread_mutex_lock(&sim.lock);
	int rc = __real_unlinkat(dirfd, path, flags);
	uint32_t dir = sim.on && rc == 0 ? dir_of(dirfd, path, &name) : NONE;
	if (dir != NONE) {
		struct op *o = add_op(UNLINK, NONE);
		o->dir = o->dir2 = dir;
		o->name = must(strdup(name));
	}
	pthread_mutex_unlock(&sim.lock);
	return rc;
}

int __wrap_fsync(int fd)
{
	pthread_mutex_lock(&sim.lock);
	uint32_t node = sim.on ? node_of_fd(fd) : NONE;
	if (node != NONE)
		add_op(SYNC, node);
	pthread_mutex_unlock(&sim.lock);
	return 0;
}

int __wrap_fdatasync(int fd)
{
	return __wrap_fsync(fd);
}

int __wrap_syncfs(int fd)
{
	(void)fd;
	pthread_mutex_lock(&sim.lock);
	if (sim.on)
		add_op(SYNC_ALL, NONE);
	pthread_mutex_unlock(&sim.lock);
	return 0;
}

/* ---- playing out a cut --------------------------------------------------------------------- */

struct image { /* of one file */
	uint8_t *b;
	size_t size, cap;
};

struct cut {
	struct image *img;       /* by node */
	const struct op **moved; /* by node: its last renaming that was played */
	struct name *name;
	uint32_t name_cnt, name_cap;
	uint64_t *pend; /* operations that no sync covers */
	uint64_t pend_cnt, pend_cap;
	struct sl_rng *rng;
};

static void resize(struct image *m, size_t size)
{
	if (size > m->cap) {
		m->cap = SL_MAX(2 * m->cap, size);
		m->b = must(realloc(m->b, m->cap));
	}
	if (size > m->size)
		memset(m->b + m->size, 0, size - m->size);
	m->size = size;
}

/* `keep`: of 4 sectors so many at random; 4: all. */
static void play_data(struct cut *c, const struct op *o, unsigned keep)
{
	struct image *m = &c->img[o->node];

	if (o->kind == TRUNC) {
		resize(m, o->off);
		return;
	}
	for (uint64_t at = 0; at < o->len;) {
		uint64_t n =
			keep == 4 ? o->len : SL_MIN(o->len - at, SECTOR - (o->off + at) % SECTOR);
		if (keep == 4 || sl_rng_below(c->rng, 4) < keep) {
			resize(m, SL_MAX(m->size, o->off + at + n));
			if (o->data)
				memcpy(m->b + o->off + at, o->data + at, n);
			else
				memset(m->b + o->off + at, 0, n);
		}
		at += n;
	}
}

static void take_name(struct cut *c, uint32_t dir, const char *name)
{
	for (uint32_t i = 0; i < c->name_cnt; i++) {
		if (c->name[i].dir != dir || strcmp(c->name[i].name, name))
			continue;
		c->name[i] = c->name[--c->name_cnt];
		return;
	}
}

static void play_name(struct cut *c, const struct op *o)
{
	if (o->kind != UNLINK && o < c->moved[o->node])
		return; /* the directory that it went to was synced first */
	if (o->kind != NAME)
		take_name(c, o->dir, o->name);
	if (o->kind == UNLINK || o->dir2 == NONE)
		return;
	char *name = o->kind == NAME ? o->name : o->name2;
	take_name(c, o->dir2, name);
	*PUSH(c->name, c->name_cnt, c->name_cap) = (struct name){o->dir2, o->node, name};
	if (o->kind == RENAME)
		c->moved[o->node] = o;
}

static void play(struct cut *c, const struct op *o, unsigned keep)
{
	if (o->kind >= NAME)
		play_name(c, o);
	else
		play_data(c, o, keep);
}

/* A completed sync of `node`, NONE for all: what it covers is there for good, in its order. */
static void settle(struct cut *c, uint32_t node)
{
	uint64_t left = 0;

	for (uint64_t i = 0; i < c->pend_cnt; i++) {
		const struct op *o = &sim.op[c->pend[i]];
		bool hit = o->kind >= NAME ? o->dir == node || o->dir2 == node : o->node == node;
		if (node == NONE || hit)
			play(c, o, 4);
		else
			c->pend[left++] = c->pend[i];
	}
	c->pend_cnt = left;
}

/* What nothing covers: data in any part, names in their order up to a point per directory. */
static void gamble(struct cut *c)
{
	bool *over = must(calloc(sim.node_cnt, sizeof(*over)));
	unsigned data = sl_rng_below(c->rng, 6), names = 1 + data % 3;

	for (uint64_t i = 0; i < c->pend_cnt; i++) {
		const struct op *o = &sim.op[c->pend[i]];
		if (o->kind >= NAME) {
			bool two = o->dir2 != NONE;
			if (over[o->dir] || (two && over[o->dir2]) ||
			    sl_rng_below(c->rng, 4) >= names) {
				over[o->dir] = true;
				if (two)
					over[o->dir2] = true;
				continue;
			}
			play(c, o, 4);
		} else if (data == 5) {
			if (sl_rng_below(c->rng, 2))
				play(c, o, 4);
		} else if (o->kind == WRITE || sl_rng_below(c->rng, 4) < data) {
			play(c, o, data);
		}
	}
	free(over);
}

static void write_tree(struct cut *c, uint32_t dir, const char *path)
{
	for (uint32_t i = 0; i < c->name_cnt; i++) {
		char sub[1024];
		const struct name *n = &c->name[i];
		if (n->dir != dir)
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, n->name);
		if (sim.node[n->node].is_dir) {
			SL_ASSERT(mkdir(sub, 0700) == 0);
			write_tree(c, n->node, sub);
			continue;
		}
		const struct image *m = &c->img[n->node];
		int fd = open(sub, O_WRONLY | O_CREAT | O_EXCL, 0600);
		SL_ASSERT(fd >= 0);
		SL_ASSERT(m->size == 0 || write(fd, m->b, m->size) == (ssize_t)m->size);
		close(fd);
	}
}

void sl_sim_cut(uint64_t at, struct sl_rng *rng, const char *to)
{
	struct cut c = {.img = must(calloc(sim.node_cnt, sizeof(*c.img))),
			.moved = must(calloc(sim.node_cnt, sizeof(*c.moved))),
			.rng = rng};

	SL_ASSERT(!sim.on && at <= sim.op_cnt);
	for (uint32_t i = 0; i < sim.node_cnt; i++) {
		if (!sim.node[i].bytes || !sim.node[i].size)
			continue;
		resize(&c.img[i], sim.node[i].size);
		memcpy(c.img[i].b, sim.node[i].bytes, sim.node[i].size);
	}
	for (uint32_t i = 0; i < sim.name_cnt; i++)
		*PUSH(c.name, c.name_cnt, c.name_cap) = sim.name[i];
	for (uint64_t i = 0; i < at; i++) {
		const struct op *o = &sim.op[i];
		if (o->kind == SYNC || o->kind == SYNC_ALL)
			settle(&c, o->kind == SYNC ? o->node : NONE);
		else
			*PUSH(c.pend, c.pend_cnt, c.pend_cap) = i;
	}
	gamble(&c);
	write_tree(&c, 0, to);
	for (uint32_t i = 0; i < sim.node_cnt; i++)
		free(c.img[i].b);
	free(c.img);
	free(c.moved);
	free(c.name);
	free(c.pend);
}

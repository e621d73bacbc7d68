/* SPDX-License-Identifier: Apache-2.0 */
/* Files in, struct out: reading, conf.d, the order of the stages. */
#include "platform/config/load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the load's own memory ------------------------------------------------------------------- */

#define CHUNK_BYTES 65536

struct sl_chunk {
	struct sl_chunk *next;
	size_t used, cap;
	uint8_t mem[] SL_ALIGNED(16);
};

void *sl_load_alloc(struct sl_load *l, size_t size)
{
	struct sl_chunk *c = l->chunks;
	size_t need = SL_ALIGN_UP(size, 16);

	if (!c || c->cap - c->used < need) {
		size_t cap = SL_MAX(need, (size_t)CHUNK_BYTES);
		c = calloc(1, sizeof(*c) + cap);
		if (!c)
			return NULL;
		c->cap = cap;
		c->next = l->chunks;
		l->chunks = c;
	}
	c->used += need;
	return c->mem + c->used - need;
}

char *sl_load_strndup(struct sl_load *l, const char *s, size_t len)
{
	char *p = sl_load_alloc(l, len + 1);

	if (p && len)
		memcpy(p, s, len);
	return p;
}

static void load_fini(struct sl_load *l)
{
	for (struct sl_chunk *c = l->chunks, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	for (unsigned i = 0; i < l->src_cnt; i++) {
		free(l->src[i].name);
		free(l->src[i].text);
	}
}

int sl_load_add_source(struct sl_load *l, const char *name, char *text, uint32_t len)
{
	struct sl_source *s = &l->src[l->src_cnt];

	if (l->src_cnt == SL_CONFIG_FILES_MAX) {
		free(text);
		return -EMFILE;
	}
	s->name = strdup(name);
	if (!s->name) {
		free(text);
		return -ENOMEM;
	}
	s->text = text;
	s->len = len;
	l->src_cnt++;
	return 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int read_all(int fd, char **ret_text, uint32_t *ret_len)
{
	char *buf = malloc(SL_CFG_FILE_MAX + 1), *fit;
	size_t len = 0;
	ssize_t n;

	if (!buf)
		return -ENOMEM;
	while ((n = read(fd, buf + len, SL_CFG_FILE_MAX + 1 - len)) > 0)
		len += (size_t)n;
	if (n < 0 || len > SL_CFG_FILE_MAX) {
		int rc = n < 0 ? -errno : -EFBIG;
		free(buf);
		return rc;
	}
	buf[len] = '\0';
	fit = realloc(buf, len + 1);
	*ret_text = fit ? fit : buf;
	*ret_len = (uint32_t)len;
	return 0;
}

static int open_regular(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		close(fd);
		return -EISDIR;
	}
	if (!S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

static int read_source(struct sl_load *l, const char *path)
{
	char *text = NULL;
	uint32_t len = 0;
	int fd = open_regular(path), rc = fd;

	if (fd >= 0) {
		rc = read_all(fd, &text, &len);
		close(fd);
	}
	if (rc == 0)
		rc = sl_load_add_source(l, path, text, len);
	if (rc == -EFBIG)
		sl_err_file(l, path, "larger than %u KiB", SL_CFG_FILE_MAX / 1024);
	else if (rc == -EINVAL)
		sl_err_file(l, path, "not a regular file");
	else if (rc == -EMFILE)
		sl_err_file(l, path, "more than %d files", SL_CONFIG_FILES_MAX);
	else if (rc < 0)
		sl_err_file(l, path, "%s", strerror(-rc));
	return rc;
}

static int wanted(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > 5 && !strcmp(d->d_name + n - 5, ".yaml");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name); /* not by locale */
}

/* Adds the files of conf.d beside `path`. Without that folder there are none. */
static int read_conf_d(struct sl_load *l, const char *path)
{
	const char *slash = strrchr(path, '/');
	int dir_len = slash ? (int)(slash + 1 - path) : 0;
	char dir[4096], file[4096 + 256];
	struct dirent **names = NULL;
	int n, rc = 0;

	if (snprintf(dir, sizeof(dir), "%.*sconf.d", dir_len, path) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	n = scandir(dir, &names, wanted, by_bytes);
	if (n < 0) {
		rc = errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
		if (rc < 0)
			sl_err_file(l, dir, "%s", strerror(-rc));
		return rc;
	}
	for (int i = 0; i < n; i++) {
		snprintf(file, sizeof(file), "%s/%s", dir, names[i]->d_name);
		if (rc == 0)
			rc = read_source(l, file);
		free(names[i]);
	}
	free(names);
	return rc;
}

/* ---- the stages ------------------------------------------------------------------------------ */

/* Parses each source by itself; a syntax error in one does not hide those in the next. */
static int build_tree(struct sl_load *l)
{
	int ret = 0;

	l->root = sl_load_alloc(l, sizeof(*l->root));
	if (!l->root)
		return -ENOMEM;
	l->root->type = SL_NODE_MAP;
	for (unsigned i = 0; i < l->src_cnt; i++) {
		struct sl_node *root = NULL;
		int rc = sl_doc_parse(l, (uint16_t)i, &root);
		if (rc == 0 && root)
			rc = sl_env_expand(l, root);
		if (rc == 0 && root)
			sl_merge(l, l->root, root);
		if (rc == -ENOMEM)
			return rc;
		if (rc < 0)
			ret = rc;
	}
	return ret;
}

static int run(struct sl_load *l)
{
	int rc = build_tree(l);

	if (rc < 0)
		return rc;
	l->cfg = calloc(1, sizeof(*l->cfg));
	if (!l->cfg)
		return -ENOMEM;
	sl_apply(l);
	sl_check(l);
	return sl_err_cnt(l) ? -EINVAL : 0;
}

static int finish(struct sl_load *l, int rc, struct sl_config **ret_cfg)
{
	if (rc == 0)
		*ret_cfg = l->cfg;
	else
		sl_config_free(l->cfg);
	sl_errs_finish(l->errs);
	load_fini(l);
	free(l);
	return rc;
}

int sl_config_load(const char *path, struct sl_config **ret_cfg, struct sl_config_errors *ret_errs)
{
	struct sl_load *l = calloc(1, sizeof(*l));
	int rc;

	if (!l)
		return -ENOMEM;
	l->errs = ret_errs;
	l->files = true;
	rc = read_source(l, path);
	if (rc == 0)
		rc = read_conf_d(l, path);
	if (rc == 0)
		rc = run(l);
	return finish(l, rc, ret_cfg);
}

int sl_config_parse(const char *name, const char *text, size_t len, struct sl_config **ret_cfg,
		    struct sl_config_errors *ret_errs)
{
	struct sl_load *l = calloc(1, sizeof(*l));
	char *copy;
	int rc = 0;

	if (!l)
		return -ENOMEM;
	l->errs = ret_errs;
	if (len > SL_CFG_FILE_MAX) {
		sl_err_file(l, name, "larger than %u KiB", SL_CFG_FILE_MAX / 1024);
		return finish(l, -EFBIG, ret_cfg);
	}
	copy = malloc(len + 1);
	if (!copy)
		return finish(l, -ENOMEM, ret_cfg);
	if (len)
		memcpy(copy, text, len);
	copy[len] = '\0';
	rc = sl_load_add_source(l, name, copy, (uint32_t)len);
	if (rc == 0)
		rc = run(l);
	return finish(l, rc, ret_cfg);
}

void sl_config_free(struct sl_config *cfg)
{
	free(cfg);
}

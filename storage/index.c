/* SPDX-License-Identifier: Apache-2.0 */
#include "index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "layout.h"

#define LOAD(p)     atomic_load_explicit((p), memory_order_relaxed)
#define STORE(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)

struct sl_idx *sl_idx_new(void)
{
	void *p = mmap(NULL, sizeof(struct sl_idx), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void sl_idx_free(struct sl_idx *x)
{
	if (x)
		munmap(x, sizeof(*x));
}

static void thin_begin(struct sl_idx *x)
{
	STORE(&x->seq, LOAD(&x->seq) + 1);
	atomic_thread_fence(memory_order_release);
}

static void thin_end(struct sl_idx *x)
{
	atomic_store_explicit(&x->seq, LOAD(&x->seq) + 1, memory_order_release);
}

static void put_offset(struct sl_idx *x, uint32_t rel, uint32_t pos)
{
	uint32_t n = LOAD(&x->on);

	if (n == SL_IDX_CAP) {
		thin_begin(x);
		for (uint32_t i = 0; i < SL_IDX_CAP / 2; i++)
			STORE(&x->o[i], LOAD(&x->o[2 * i]));
		n = SL_IDX_CAP / 2;
		STORE(&x->on, n);
		x->interval *= 2;
		thin_end(x);
	}
	STORE(&x->o[n], (uint64_t)rel << 32 | pos);
	atomic_store_explicit(&x->on, n + 1, memory_order_release);
}

static void put_time(struct sl_idx *x, int64_t ts, uint32_t rel)
{
	uint32_t n = LOAD(&x->tn);

	if (n && ts <= LOAD(&x->t[n - 1].ts))
		return; /* strictly rising */
	if (n == SL_IDX_CAP) {
		thin_begin(x);
		for (uint32_t i = 0; i < SL_IDX_CAP / 2; i++) {
			STORE(&x->t[i].ts, LOAD(&x->t[2 * i].ts));
			STORE(&x->t[i].rel, LOAD(&x->t[2 * i].rel));
		}
		n = SL_IDX_CAP / 2;
		STORE(&x->tn, n);
		thin_end(x);
	}
	STORE(&x->t[n].ts, ts);
	STORE(&x->t[n].rel, rel);
	atomic_store_explicit(&x->tn, n + 1, memory_order_release);
}

void sl_idx_note(struct sl_idx *x, uint32_t interval, uint32_t rel, uint32_t pos, uint32_t len,
		 int64_t max_ts, uint32_t ts_rel)
{
	if (x->interval < interval)
		x->interval = interval;
	if (x->since > x->interval) {
		put_offset(x, rel, pos);
		if (max_ts >= 0)
			put_time(x, max_ts, ts_rel);
		x->since = 0;
	}
	x->since += len;
}

uint32_t sl_idx_find(struct sl_idx *x, uint32_t rel)
{
	uint32_t s, pos;

	do {
		s = atomic_load_explicit(&x->seq, memory_order_acquire);
		uint32_t lo = 0, hi = atomic_load_explicit(&x->on, memory_order_acquire);
		while (lo < hi) { /* first entry beyond rel */
			uint32_t mid = (lo + hi) / 2;
			if (LOAD(&x->o[mid]) >> 32 <= rel)
				lo = mid + 1;
			else
				hi = mid;
		}
		pos = lo ? (uint32_t)LOAD(&x->o[lo - 1]) : 0;
		atomic_thread_fence(memory_order_acquire);
	} while ((s & 1) || s != LOAD(&x->seq));
	return pos;
}

uint32_t sl_idx_find_ts(struct sl_idx *x, int64_t ts)
{
	uint32_t s, rel;

	do {
		s = atomic_load_explicit(&x->seq, memory_order_acquire);
		uint32_t lo = 0, hi = atomic_load_explicit(&x->tn, memory_order_acquire);
		while (lo < hi) { /* first entry with a timestamp >= ts */
			uint32_t mid = (lo + hi) / 2;
			if (LOAD(&x->t[mid].ts) < ts)
				lo = mid + 1;
			else
				hi = mid;
		}
		rel = lo ? (uint32_t)LOAD(&x->t[lo - 1].rel) : 0;
		atomic_thread_fence(memory_order_acquire);
	} while ((s & 1) || s != LOAD(&x->seq));
	return rel;
}

/* ---- files --------------------------------------------------------------------------------- */

static int write_file(int dirfd, const char *name, const void *buf, size_t len, bool sync)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int err = sl_io_pwrite_all(fd, buf, len, 0);
	if (!err && sync && fdatasync(fd))
		err = -errno;
	close(fd);
	return err;
}

int sl_idx_store(struct sl_idx *x, int dirfd, const char *index_name, const char *time_name,
		 int64_t max_ts, uint32_t ts_rel, bool sync)
{
	uint32_t on = LOAD(&x->on), tn = LOAD(&x->tn);
	uint8_t *buf = malloc(SL_MAX(on * SL_IDX_ENTRY, (tn + 1) * SL_TIDX_ENTRY) + 1);

	if (!buf)
		return -ENOMEM;
	for (uint32_t i = 0; i < on; i++)
		sl_put_be64(buf + (size_t)i * SL_IDX_ENTRY, LOAD(&x->o[i]));
	int err = write_file(dirfd, index_name, buf, (size_t)on * SL_IDX_ENTRY, sync);
	for (uint32_t i = 0; i < tn; i++) {
		sl_put_be64(buf + (size_t)i * SL_TIDX_ENTRY, (uint64_t)LOAD(&x->t[i].ts));
		sl_put_be32(buf + (size_t)i * SL_TIDX_ENTRY + 8, (uint32_t)LOAD(&x->t[i].rel));
	}
	if (max_ts >= 0 && (tn == 0 || max_ts > LOAD(&x->t[tn - 1].ts))) {
		sl_put_be64(buf + (size_t)tn * SL_TIDX_ENTRY, (uint64_t)max_ts);
		sl_put_be32(buf + (size_t)tn * SL_TIDX_ENTRY + 8, ts_rel);
		tn++;
	}
	if (!err)
		err = write_file(dirfd, time_name, buf, (size_t)tn * SL_TIDX_ENTRY, sync);
	free(buf);
	return err;
}

static int load_offsets(struct sl_idx *x, int dirfd, const char *name, uint32_t size)
{
	char *buf;
	size_t len;
	uint32_t last_rel = 0, last_pos = 0;
	int err = sl_file_read(dirfd, name, SL_IDX_FILE_MAX, &buf, &len);

	if (err)
		return err;
	if (len % SL_IDX_ENTRY)
		err = -EILSEQ;
	for (size_t i = 0; i + SL_IDX_ENTRY <= len && !err; i += SL_IDX_ENTRY) {
		uint32_t rel = sl_be32(buf + i), pos = sl_be32(buf + i + 4);
		if (rel <= last_rel || pos <= last_pos || pos >= size)
			err = -EILSEQ;
		else
			put_offset(x, rel, pos);
		last_rel = rel;
		last_pos = pos;
	}
	x->since = size - last_pos;
	free(buf);
	return err;
}

static int load_times(struct sl_idx *x, int dirfd, const char *name)
{
	char *buf;
	size_t len;
	int err = sl_file_read(dirfd, name, SL_IDX_FILE_MAX, &buf, &len);

	if (err)
		return err;
	if (len % SL_TIDX_ENTRY)
		err = -EILSEQ;
	for (size_t i = 0; i + SL_TIDX_ENTRY <= len && !err; i += SL_TIDX_ENTRY)
		put_time(x, (int64_t)sl_be64(buf + i), sl_be32(buf + i + 8));
	free(buf);
	return err;
}

int sl_idx_load(struct sl_idx *x, int dirfd, const char *index_name, const char *time_name,
		uint32_t size)
{
	x->interval = 1;
	int err = load_offsets(x, dirfd, index_name, size);

	return err ? err : load_times(x, dirfd, time_name);
}

/* Entry i of a file, or false. */
static bool entry(int fd, uint64_t i, uint32_t bytes, uint8_t *ret_e)
{
	return sl_io_pread_all(fd, ret_e, bytes, i * bytes) == bytes;
}

static int open_entries(int dirfd, const char *name, uint32_t bytes, uint64_t *ret_n)
{
	struct stat st;
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int err = fstat(fd, &st)                                       ? -errno
		  : st.st_size % bytes || st.st_size > SL_IDX_FILE_MAX ? -EILSEQ
								       : 0;
	if (err) {
		close(fd);
		return err;
	}
	*ret_n = (uint64_t)st.st_size / bytes;
	return fd;
}

uint32_t sl_idx_file_find(int dirfd, const char *index_name, uint32_t rel, uint32_t size)
{
	uint8_t e[SL_IDX_ENTRY];
	uint64_t lo = 0, hi;
	uint32_t pos = 0;
	int fd = open_entries(dirfd, index_name, SL_IDX_ENTRY, &hi);

	if (fd < 0)
		return 0;
	while (lo < hi) {
		uint64_t mid = (lo + hi) / 2;
		if (!entry(fd, mid, sizeof(e), e))
			break;
		if (sl_be32(e) <= rel)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo && entry(fd, lo - 1, sizeof(e), e) && sl_be32(e) <= rel && sl_be32(e + 4) < size)
		pos = sl_be32(e + 4);
	close(fd);
	return pos;
}

uint32_t sl_idx_file_find_ts(int dirfd, const char *time_name, int64_t ts)
{
	uint8_t e[SL_TIDX_ENTRY];
	uint64_t lo = 0, hi;
	uint32_t rel = 0;
	int fd = open_entries(dirfd, time_name, SL_TIDX_ENTRY, &hi);

	if (fd < 0)
		return 0;
	while (lo < hi) {
		uint64_t mid = (lo + hi) / 2;
		if (!entry(fd, mid, sizeof(e), e))
			break;
		if ((int64_t)sl_be64(e) < ts)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo && entry(fd, lo - 1, sizeof(e), e))
		rel = sl_be32(e + 8);
	close(fd);
	return rel;
}

int sl_idx_file_last_ts(int dirfd, const char *time_name, int64_t *ret_ts, uint32_t *ret_rel)
{
	uint8_t e[SL_TIDX_ENTRY];
	uint64_t n;
	int fd = open_entries(dirfd, time_name, SL_TIDX_ENTRY, &n);

	if (fd < 0)
		return fd;
	int err = n == 0 ? -ENODATA : entry(fd, n - 1, sizeof(e), e) ? 0 : -EIO;
	close(fd);
	if (!err) {
		*ret_ts = (int64_t)sl_be64(e);
		*ret_rel = sl_be32(e + 8);
	}
	return err;
}

bool sl_idx_file_sane(int dirfd, const char *index_name, const char *time_name, uint32_t size,
		      int64_t offsets)
{
	uint8_t e[SL_IDX_ENTRY];
	uint64_t n;
	int64_t ts;
	uint32_t rel;
	int fd = open_entries(dirfd, index_name, SL_IDX_ENTRY, &n);

	if (fd < 0)
		return false;
	bool ok = n == 0 || (entry(fd, n - 1, sizeof(e), e) && sl_be32(e) < offsets &&
			     sl_be32(e) > 0 && sl_be32(e + 4) < size);
	close(fd);
	if (!ok)
		return false;
	int err = sl_idx_file_last_ts(dirfd, time_name, &ts, &rel);
	if (err == -ENODATA)
		return size == 0;
	return !err && ts >= 0 && rel < offsets;
}

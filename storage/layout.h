/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.h - the data directory: its folders, locks, identity and small files.
 *
 *   <data>/.lock              ours: one process (open file description lock)
 *   <data>/log/               Kafka's: partitions, checkpoints, meta.properties, .lock
 *   <data>/state/             ours: format, run, topics, tail, producers/, recycled/, spare/
 *
 * Byte tables: docs/formats/log-directory.md, docs/formats/state.md. Everything here blocks and
 * is for control, worker and housekeeping threads. Names that came from outside have passed
 * sl_topic_name_valid() before they reach a path; symbolic links are never followed.
 */
#ifndef SL_STORAGE_LAYOUT_H
#define SL_STORAGE_LAYOUT_H

#include "sluice/base.h"

#define SL_UUID_TEXT     23  /* 22 characters of base64url and NUL */
#define SL_FILE_NAME_MAX 300 /* <topic>-<n>/<20 digits>.timeindex with room */
#define SL_PARTDIR_MAX   (SL_TOPIC_NAME_MAX + 12)

struct sl_layout {
	int data_fd, log_fd, state_fd, recycled_fd, spare_fd, producers_fd;
	int lock_fd;        /* <data>/.lock, held */
	bool lock_borrowed; /* the caller holds it too, and lets go of it */
	int klock_fd; /* <data>/log/.lock, held: a Kafka broker on the same directory would notice
		       */
	char directory_id[SL_UUID_TEXT];
	char cluster_id[SL_UUID_TEXT];
	bool clean;   /* .kafka_cleanshutdown was there; it is gone now */
	uint64_t run; /* generation of the run before this one; 0: none */
};

/*
 * Makes what is missing and takes both locks; lock_fd > 0 is <data>/.lock, taken before. -EBUSY,
 * -EPROTO, -ENOTUNIQ as sl_store_open().
 * On failure nothing is held. `ret_err` gets a sentence.
 */
SL_MUST_CHECK int sl_layout_open(struct sl_layout *l, const char *data, int lock_fd, char *ret_err,
				 size_t errlen);
void sl_layout_close(struct sl_layout *l); /* accepts zeroed and half-built */
/* Durable: the run that starts now. */
SL_MUST_CHECK int sl_layout_set_run(struct sl_layout *l, uint64_t run);
SL_MUST_CHECK int sl_layout_mark_clean(struct sl_layout *l);

/* Writes tmp, fsync, rename, fsync of the directory. `name` below dirfd. */
SL_MUST_CHECK int sl_file_replace(int dirfd, const char *name, const void *buf, size_t len);
/* The same without the last sync: after a power cut the file is the old one or the new one, until
 * the caller has synced the file system. */
SL_MUST_CHECK int sl_file_replace_whole(int dirfd, const char *name, const void *buf, size_t len);
/* Without any sync: after a power cut it may be anything, until the caller has synced. */
SL_MUST_CHECK int sl_file_replace_lazy(int dirfd, const char *name, const void *buf, size_t len);
/* Reads a whole small file, NUL added. -ENOENT, -EFBIG beyond max. The caller frees *ret_buf. */
SL_MUST_CHECK int sl_file_read(int dirfd, const char *name, size_t max, char **ret_buf,
			       size_t *ret_len);
/* Opens a directory below dirfd, making it (0700) if `create`; a symbolic link is -ELOOP. */
int sl_dir_open(int dirfd, const char *name, bool create);

void sl_uuid_make(uint8_t id[16]);
void sl_uuid_text(const uint8_t id[16], char ret_text[SL_UUID_TEXT]);
bool sl_uuid_parse(const char *text, uint8_t ret_id[16]);

/* "<topic>-<n>" */
void sl_partdir(const char *topic, int32_t id, char ret_dir[SL_PARTDIR_MAX]);
/* "<dir>/<20 digits><suffix>" */
void sl_segname(const char *dir, int64_t base, const char *suffix, char ret_name[SL_FILE_NAME_MAX]);
/* Splits "<topic>-<n>"; false if it is not a legal partition directory. */
bool sl_partdir_parse(const char *dir, char ret_topic[SL_TOPIC_NAME_MAX + 1], int32_t *ret_id);

#endif

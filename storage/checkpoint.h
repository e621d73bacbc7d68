/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint.h - Kafka's small text files: offset checkpoints, leader epochs, partition metadata.
 *
 * Offset checkpoint: "0\n<count>\n" and one "<topic> <partition> <offset>\n" each. Leader epochs:
 * "0\n<count>\n" and "<epoch> <start offset>\n". A file that does not parse counts as missing:
 * the caller recovers without it. Blocking; control and housekeeping threads.
 */
#ifndef SL_STORAGE_CHECKPOINT_H
#define SL_STORAGE_CHECKPOINT_H

#include "layout.h"

#define SL_CP_RECOVERY       "recovery-point-offset-checkpoint"
#define SL_CP_LOG_START      "log-start-offset-checkpoint"
#define SL_CP_HIGH_WATERMARK "replication-offset-checkpoint"
#define SL_CP_FILE_MAX       (16u << 20)

struct sl_cp_row {
	char topic[SL_TOPIC_NAME_MAX + 1];
	int32_t part;
	int64_t offset;
};

struct sl_cp { /* sorted by topic and partition once loaded */
	struct sl_cp_row *row;
	size_t cnt, cap;
};

/* -ENOENT if missing, -EILSEQ if it does not parse; *cp is empty then. */
SL_MUST_CHECK int sl_cp_load(int dirfd, const char *name, struct sl_cp *cp);
/* -1 if there is no row. */
int64_t sl_cp_find(const struct sl_cp *cp, const char *topic, int32_t part);
SL_MUST_CHECK int sl_cp_add(struct sl_cp *cp, const char *topic, int32_t part, int64_t offset);
SL_MUST_CHECK int sl_cp_store(int dirfd, const char *name, const struct sl_cp *cp);
void sl_cp_fini(struct sl_cp *cp); /* accepts zeroed */

#define SL_EPOCHS_MAX 4096
struct sl_epochs {
	uint32_t cnt;
	struct {
		int32_t epoch;
		int64_t start;
	} row[SL_EPOCHS_MAX];
};
/* Missing or damaged: cnt 0. Rows that do not rise are dropped. */
void sl_epochs_load(int log_fd, const char *dir, struct sl_epochs *e);
SL_MUST_CHECK int sl_epochs_store(int log_fd, const char *dir, const struct sl_epochs *e);
/* Old or new after a power cut until the caller has synced the file system. */
SL_MUST_CHECK int sl_epochs_store_whole(int log_fd, const char *dir, const struct sl_epochs *e);

/* partition.metadata. -ENOENT, -EILSEQ. */
SL_MUST_CHECK int sl_partmeta_load(int log_fd, const char *dir, uint8_t ret_topic_id[16]);
SL_MUST_CHECK int sl_partmeta_store(int log_fd, const char *dir, const uint8_t topic_id[16]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "errors.h"

#include <errno.h>

struct row {
	int err;
	int16_t code;
};

static int16_t look_up(const struct row *rows, size_t n, int err)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i].err == err)
			return rows[i].code;
	return SL_KERR_UNKNOWN_SERVER_ERROR;
}

int16_t sl_kerr_of_append(int err)
{
	static const struct row rows[] = {
		{0, SL_KERR_NONE},
		{-EEXIST, SL_KERR_NONE}, /* a retry of what is in the log: the first one's offset */
		{-EILSEQ, SL_KERR_OUT_OF_ORDER_SEQUENCE_NUMBER},
		{-ENOKEY,
		 SL_KERR_OUT_OF_ORDER_SEQUENCE_NUMBER}, /* as Kafka 4.5 does: KAFKA-15591 */
		{-ESTALE, SL_KERR_INVALID_PRODUCER_EPOCH},
		{-EMSGSIZE, SL_KERR_MESSAGE_TOO_LARGE},
		{-ENOENT, SL_KERR_UNKNOWN_TOPIC_OR_PARTITION},
		{-ENOSPC, SL_KERR_KAFKA_STORAGE_ERROR},
		{-EIO, SL_KERR_KAFKA_STORAGE_ERROR},
		{-ESHUTDOWN, SL_KERR_KAFKA_STORAGE_ERROR}, /* retriable: it will be back */
	};
	return look_up(rows, SL_ARRAY_SIZE(rows), err);
}

int16_t sl_kerr_of_read(int err)
{
	static const struct row rows[] = {
		{0, SL_KERR_NONE},
		{-ERANGE, SL_KERR_OFFSET_OUT_OF_RANGE},
		{-EILSEQ, SL_KERR_CORRUPT_MESSAGE},
		{-ENOENT, SL_KERR_UNKNOWN_TOPIC_OR_PARTITION},
		{-EIO, SL_KERR_KAFKA_STORAGE_ERROR},
	};
	return look_up(rows, SL_ARRAY_SIZE(rows), err);
}

int16_t sl_kerr_of_create(int err)
{
	static const struct row rows[] = {
		{0, SL_KERR_NONE},
		{-EINVAL, SL_KERR_INVALID_TOPIC_EXCEPTION},
		{-EMFILE, SL_KERR_POLICY_VIOLATION}, /* as many topics as this box takes */
		{-ENOSPC, SL_KERR_KAFKA_STORAGE_ERROR},
		{-EIO, SL_KERR_KAFKA_STORAGE_ERROR},
	};
	return look_up(rows, SL_ARRAY_SIZE(rows), err);
}

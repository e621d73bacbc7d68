/* SPDX-License-Identifier: Apache-2.0 */
/* text_err.h - what is wrong with a text of the configuration, and where in it. */
#ifndef SL_BASE_TEXT_ERR_H
#define SL_BASE_TEXT_ERR_H

#include "sluice/base.h"

struct sl_text_err {
	uint32_t pos, len; /* the bytes it is about; len 0: the text as a whole */
	char why[256];     /* for people, goes on after the text's name: "is empty" */
};

/* Fills *e, which may be NULL; returns -EINVAL. */
int sl_text_err_set(struct sl_text_err *e, size_t pos, size_t len, const char *fmt, ...)
	SL_PRINTF(4, 5);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/text_err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int sl_text_err_set(struct sl_text_err *e, size_t pos, size_t len, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return -EINVAL;
	e->pos = (uint32_t)pos;
	e->len = (uint32_t)len;
	va_start(ap, fmt);
	vsnprintf(e->why, sizeof(e->why), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

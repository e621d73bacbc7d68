/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sluice/base.h"

/* Nothing is trusted any more at this point: one buffer on the stack, one write, abort. */
void sl_panic(const char *file, int line, const char *func, const char *expr)
{
	char msg[512];
	int n = snprintf(msg, sizeof(msg), "sluice: broken invariant at %s:%d in %s(): %s\n", file,
			 line, func, expr);

	if (n >= (int)sizeof(msg)) {
		n = sizeof(msg);
		msg[n - 1] = '\n';
	}
	if (n > 0 && write(STDERR_FILENO, msg, (size_t)n) < 0)
		abort(); /* nobody to tell */
	abort();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "log_line.h"

/* One per process, as stderr is: every thread logs, and none carries a logger. */
static _Atomic int max_level = SL_LOG_INFO;

void sl_log_set_level(enum sl_log_level l)
{
	atomic_store_explicit(&max_level, (int)l, memory_order_relaxed);
}

bool sl_log_on(enum sl_log_level l)
{
	return (int)l <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

/* systemd sets JOURNAL_STREAM to device:inode of the stream it gave us; stderr may have been
 * redirected since, so it is compared (systemd.exec(5)). */
static bool stderr_is_journal(void)
{
	const char *env = getenv("JOURNAL_STREAM");
	uint64_t dev, ino;
	struct stat st;

	return env && sscanf(env, "%" SCNu64 ":%" SCNu64, &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

static void write_all(const char *line, size_t len)
{
	while (len) {
		ssize_t n = write(STDERR_FILENO, line, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nowhere to complain */
		line += n;
		len -= (size_t)n;
	}
}

static SL_PRINTF(4, 0) void emit(enum sl_log_level l, const char *area, uint32_t held,
				 const char *fmt, va_list ap)
{
	int saved = errno;
	char msg[SL_LOG_LINE_MAX];
	char line[SL_LOG_LINE_MAX];
	struct timespec now;
	size_t at = 0;

	if (held)
		at = (size_t)snprintf(msg, sizeof(msg), "(%" PRIu32 " like this held back) ", held);
	if (vsnprintf(msg + at, sizeof(msg) - at, fmt, ap) < 0)
		msg[at] = 0;
	clock_gettime(CLOCK_REALTIME, &now);
	write_all(line, sl_log_line(line, l, stderr_is_journal(),
				    (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, area, msg));
	errno = saved;
}

void sl_log(enum sl_log_level l, const char *area, const char *fmt, ...)
{
	va_list ap;

	if (!sl_log_on(l))
		return;
	va_start(ap, fmt);
	emit(l, area, 0, fmt, ap);
	va_end(ap);
}

void sl_log_limited(struct sl_log_limit *lim, enum sl_log_level l, const char *area,
		    const char *fmt, ...)
{
	uint32_t held;
	va_list ap;

	if (!sl_log_on(l) || !sl_log_limit_take(lim, sl_clock_mono_ns() / 1000000 + 1, &held))
		return;
	va_start(ap, fmt);
	emit(l, area, held, fmt, ap);
	va_end(ap);
}

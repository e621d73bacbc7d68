/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/libbpf.h>
#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <rte_log.h>
#include <stdarg.h>
#include <stdio.h>
#include <xdp/libxdp.h>

#include "eal_log.h"
#include "platform/base/log.h"

/* One per process, as the streams it serves. */
static struct {
	pthread_mutex_t lock;
	char last[256];
	FILE *stream;
} words = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void keep(const char *line)
{
	pthread_mutex_lock(&words.lock);
	snprintf(words.last, sizeof(words.last), "%s", line);
	pthread_mutex_unlock(&words.lock);
}

/* One line without its end; errors are kept, and said aloud only by whoever quotes them. */
static void take(const char *buf, size_t len, bool is_error)
{
	char line[256];

	while (len && isspace((unsigned char)buf[len - 1]))
		len--;
	if (!len)
		return;
	snprintf(line, sizeof(line), "%.*s", (int)SL_MIN(len, sizeof(line) - 1), buf);
	if (is_error)
		keep(line);
	sl_log(SL_LOG_DEBUG, "dpdk", "%s", line);
}

static ssize_t on_rte(void *cookie, const char *buf, size_t len)
{
	int level = rte_log_cur_msg_loglevel();

	(void)cookie;
	take(buf, len, level > 0 && level <= (int)RTE_LOG_ERR);
	return (ssize_t)len;
}

SL_PRINTF(2, 0)
static int on_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[256];

	if (level == LIBBPF_DEBUG)
		return 0;
	int n = vsnprintf(line, sizeof(line), fmt, ap);
	if (n > 0)
		take(line, SL_MIN((size_t)n, sizeof(line) - 1), false);
	return n;
}

SL_PRINTF(2, 0)
static int on_libxdp(enum libxdp_print_level level, const char *fmt, va_list ap)
{
	return on_libbpf(level == LIBXDP_DEBUG ? LIBBPF_DEBUG : LIBBPF_INFO, fmt, ap);
}

int sl_eal_log_open(void)
{
	cookie_io_functions_t io = {.write = on_rte};

	words.stream = fopencookie(NULL, "w", io);
	if (!words.stream)
		return -ENOMEM;
	setvbuf(words.stream, NULL, _IOLBF, 512);
	rte_openlog_stream(words.stream);
	libbpf_set_print(on_libbpf);
	libxdp_set_print(on_libxdp);
	return 0;
}

void sl_eal_log_close(void)
{
	if (!words.stream)
		return;
	rte_openlog_stream(NULL);
	fclose(words.stream);
	words.stream = NULL;
}

void sl_eal_log_forget(void)
{
	keep("");
}

void sl_eal_log_quote(char *err, size_t errlen)
{
	size_t n = strnlen(err, errlen);

	pthread_mutex_lock(&words.lock);
	if (words.last[0] && n + 3 < errlen)
		snprintf(err + n, errlen - n, ": %s", words.last);
	pthread_mutex_unlock(&words.lock);
}

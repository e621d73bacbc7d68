/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "platform/base/log_line.h"
#include "platform/base/sl_test.h"

#define WHEN INT64_C(1769860800123) /* 2026-01-31T12:00:00.123Z */

static const char *line_of(enum sl_log_level l, bool journal, const char *area, const char *msg)
{
	static char line[SL_LOG_LINE_MAX + 1];
	size_t n = sl_log_line(line, l, journal, WHEN, area, msg);

	assert_in_range(n, 1, SL_LOG_LINE_MAX);
	line[n] = 0;
	return line;
}

static void looks_as_documented(void **state)
{
	(void)state;
	assert_string_equal(line_of(SL_LOG_WARN, false, "kafka", "closed 10.0.0.7:4242"),
			    "2026-01-31T12:00:00.123Z warn  kafka: closed 10.0.0.7:4242\n");
	assert_string_equal(line_of(SL_LOG_ERROR, false, "app", ""),
			    "2026-01-31T12:00:00.123Z error app: \n");
	assert_string_equal(line_of(SL_LOG_ERROR, true, "app", "x"), "<3>app: x\n");
	assert_string_equal(line_of(SL_LOG_WARN, true, "app", "x"), "<4>app: x\n");
	assert_string_equal(line_of(SL_LOG_INFO, true, "app", "x"), "<6>app: x\n");
	assert_string_equal(line_of(SL_LOG_DEBUG, true, "app", "x"), "<7>app: x\n");
}

static void nothing_from_a_peer_breaks_out(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"a\nb\rc\td", "a\\nb\\rc\\td"},
		{"\x1b[31mred\x7f", "\\x1b[31mred\\x7f"},
		{"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8c\x8a",
		 "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8c\x8a"},
		{"\xc2\x9bJ", "\\xc2\\x9bJ"}, /* C1 CSI */
		{"\xc0\xaf", "\\xc0\\xaf"},   /* overlong */
		{"\xe0\x80\xaf", "\\xe0\\x80\\xaf"},
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* surrogate */
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond Unicode */
		{"\xe2\x82", "\\xe2\\x82"},                   /* cut */
		{"\xff\x80", "\\xff\\x80"},
	};
	char want[256];

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		snprintf(want, sizeof(want), "<6>x: %s\n", cases[i].out);
		assert_string_equal(line_of(SL_LOG_INFO, true, "x", cases[i].in), want);
	}
}

/* At every length around the limit, with one-byte and four-byte escapes: never too long, one
 * newline, and "..." exactly when something is missing. */
static void long_lines_are_cut(void **state)
{
	static char msg[2 * SL_LOG_LINE_MAX];

	(void)state;
	for (int fill = 0; fill < 2; fill++) {
		size_t each = fill ? 4 : 1;

		for (size_t n = 200; n < 1200; n++) {
			memset(msg, fill ? 1 : 'x', n);
			msg[n] = 0;
			const char *line = line_of(SL_LOG_INFO, true, "a", msg);
			size_t len = strlen(line), whole = 6 + n * each + 1;

			assert_ptr_equal(strchr(line, '\n'), line + len - 1);
			if (whole <= SL_LOG_LINE_MAX - 3)
				assert_int_equal(len, whole);
			else
				assert_memory_equal(line + len - 4, "...\n", 4);
		}
	}
}

static void limit_counts_what_it_holds(void **state)
{
	struct sl_log_limit lim = SL_LOG_LIMIT(2, 1000);
	uint32_t held = 9;

	(void)state;
	assert_true(sl_log_limit_take(&lim, 5000, &held));
	assert_int_equal(held, 0);
	assert_true(sl_log_limit_take(&lim, 5001, &held));
	for (int i = 0; i < 7; i++)
		assert_false(sl_log_limit_take(&lim, 5999, &held));
	assert_true(sl_log_limit_take(&lim, 6000, &held));
	assert_int_equal(held, 7);
	assert_true(sl_log_limit_take(&lim, 6001, &held));
	assert_int_equal(held, 0);
	assert_false(sl_log_limit_take(&lim, 6002, &held));
}

/* ---- through stderr ---------------------------------------------------------------------- */

static int saved_stderr = -1, pipe_out = -1;

static void redirect(void)
{
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	saved_stderr = dup(STDERR_FILENO);
	dup2(p[1], STDERR_FILENO);
	close(p[1]);
	pipe_out = p[0];
}

static const char *collect(void)
{
	static char text[4096];
	ssize_t n, at = 0;

	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	while ((n = read(pipe_out, text + at, sizeof(text) - 1 - (size_t)at)) > 0)
		at += n;
	close(pipe_out);
	text[at] = 0;
	return text;
}

static void levels_and_errno(void **state)
{
	struct sl_log_limit lim = SL_LOG_LIMIT(1, 3600000);

	(void)state;
	redirect();
	errno = ENOENT;
	sl_log(SL_LOG_DEBUG, "a", "hidden");
	sl_log(SL_LOG_INFO, "a", "shown %d", 1);
	sl_log_set_level(SL_LOG_DEBUG);
	sl_log(SL_LOG_DEBUG, "a", "now shown");
	sl_log_set_level(SL_LOG_ERROR);
	sl_log(SL_LOG_WARN, "a", "hidden too");
	sl_log_limited(&lim, SL_LOG_WARN, "a", "does not use up the burst");
	sl_log_set_level(SL_LOG_INFO);
	sl_log_limited(&lim, SL_LOG_WARN, "a", "limited %s", "once");
	sl_log_limited(&lim, SL_LOG_WARN, "a", "limited %s", "twice");
	assert_int_equal(errno, ENOENT);
	lim.window_start_ms = 0; /* the window has passed */
	sl_log_limited(&lim, SL_LOG_WARN, "a", "again");
	const char *text = collect();

	assert_non_null(strstr(text, "Z info  a: shown 1\n"));
	assert_non_null(strstr(text, "Z debug a: now shown\n"));
	assert_non_null(strstr(text, "Z warn  a: limited once\n"));
	assert_non_null(strstr(text, "Z warn  a: (1 like this held back) again\n"));
	assert_null(strstr(text, "hidden"));
	assert_null(strstr(text, "twice"));
	assert_null(strstr(text, "burst"));
}

static void journal_is_recognised(void **state)
{
	char env[64];
	struct stat st;

	(void)state;
	redirect();
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(env, sizeof(env), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", env, 1);
	sl_log(SL_LOG_WARN, "a", "to the journal");
	setenv("JOURNAL_STREAM", "1:2", 1);
	sl_log(SL_LOG_WARN, "a", "elsewhere");
	unsetenv("JOURNAL_STREAM");
	const char *text = collect();

	assert_memory_equal(text, "<4>a: to the journal\n20", 23);
	assert_non_null(strstr(text, "Z warn  a: elsewhere\n"));
}

static void panic_says_where_and_aborts(void **state)
{
	char text[600];
	int p[2], status;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		dup2(p[1], STDERR_FILENO);
		sl_panic("x.c", 7, "f", "a < b");
	}
	close(p[1]);
	ssize_t n = read(p[0], text, sizeof(text) - 1);
	close(p[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(n > 0);
	text[n] = 0;
	assert_non_null(strstr(text, "x.c:7 in f(): a < b\n"));
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looks_as_documented),
		cmocka_unit_test(nothing_from_a_peer_breaks_out),
		cmocka_unit_test(long_lines_are_cut),
		cmocka_unit_test(limit_counts_what_it_holds),
		cmocka_unit_test(levels_and_errno),
		cmocka_unit_test(journal_is_recognised),
		cmocka_unit_test(panic_says_where_and_aborts),
	};

	unsetenv("JOURNAL_STREAM");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "platform/base/sl_test.h"
#include "platform/control/notify.h"

static int bind_at(const char *name, bool abstract)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(sa.sun_path + abstract, name);
	assert_int_equal(
		bind(fd, (const struct sockaddr *)&sa,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + abstract + strlen(name))),
		0);
	return fd;
}

static void expect(int fd, const char *want)
{
	char buf[128] = "";

	assert_int_equal(recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT), (ssize_t)strlen(want));
	assert_string_equal(buf, want);
}

static void nobody(void **state)
{
	char path[160];

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(sl_notify("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "", 1);
	assert_int_equal(sl_notify("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
	assert_int_equal(sl_notify("READY=1"), -ENOENT);
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(sl_notify("READY=1"), -EAFNOSUPPORT);
	memset(path, '/', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	setenv("NOTIFY_SOCKET", path, 1);
	assert_int_equal(sl_notify("READY=1"), -ENAMETOOLONG);
}

static void file_and_abstract(void **state)
{
	char dir[] = "/tmp/slt-notify-XXXXXX", path[64], name[32];
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	fd = bind_at(path, false);
	setenv("NOTIFY_SOCKET", path, 1);
	assert_int_equal(sl_notify("READY=1\nSTATUS=serving"), 1);
	expect(fd, "READY=1\nSTATUS=serving");
	close(fd);
	assert_int_equal(sl_notify("READY=1"), -ECONNREFUSED);
	unlink(path);
	rmdir(dir);

	snprintf(name, sizeof(name), "slt-notify-%d", getpid());
	fd = bind_at(name, true);
	snprintf(path, sizeof(path), "@%s", name);
	setenv("NOTIFY_SOCKET", path, 1);
	assert_int_equal(sl_notify("STOPPING=1"), 1);
	expect(fd, "STOPPING=1");
	close(fd);
}

static void watchdog(void **state)
{
	char pid[16];

	(void)state;
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	assert_int_equal(sl_notify_watchdog_ns(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_true(sl_notify_watchdog_ns() == 15000000000ull);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(sl_notify_watchdog_ns(), 0);
	snprintf(pid, sizeof(pid), "%d", getpid());
	setenv("WATCHDOG_PID", pid, 1);
	assert_true(sl_notify_watchdog_ns() == 15000000000ull);
	setenv("WATCHDOG_USEC", "soon", 1);
	assert_int_equal(sl_notify_watchdog_ns(), 0);
	setenv("WATCHDOG_USEC", "18446744073709551615", 1);
	assert_int_equal(sl_notify_watchdog_ns(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody),
		cmocka_unit_test(file_and_abstract),
		cmocka_unit_test(watchdog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

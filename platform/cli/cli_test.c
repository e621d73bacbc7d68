/* SPDX-License-Identifier: Apache-2.0 */
/* The command line against a control server of its own: exit codes and what is said where. */
#include <unistd.h>

#include "platform/base/sl_test.h"
#include "platform/cli/cli.h"
#include "platform/control/control.h"

struct run {
	char *out, *err;
	int rc;
};

#define ARGS_MAX 8

/* `line` is split at blanks. */
static struct run run(const char *line)
{
	char words[512], *argv[ARGS_MAX + 1] = {(char[]){"sluice"}}, *save = NULL;
	struct run r = {0};
	size_t olen = 0, elen = 0;
	struct sl_cli cli = {0};
	int argc = 1;

	snprintf(words, sizeof(words), "%s", line);
	for (char *w = strtok_r(words, " ", &save); w && argc < ARGS_MAX;
	     w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	cli.out = open_memstream(&r.out, &olen);
	cli.err = open_memstream(&r.err, &elen);
	r.rc = sl_cli_main(&cli, argc, argv);
	fclose(cli.out);
	fclose(cli.err);
	return r;
}

/* Runs, and wants the exit code and a piece of what was said. */
static void expect(const char *line, int rc, const char *out, const char *err)
{
	struct run r = run(line);

	if (r.rc != rc || (out && !strstr(r.out, out)) || (err && !strstr(r.err, err)))
		fail_msg("`%s`: %d\n%s\n%s", line, r.rc, r.out, r.err);
	if (!err)
		assert_string_equal(r.err, "");
	free(r.out);
	free(r.err);
}

static void wrong_words(void **state)
{
	(void)state;
	expect("", 2, NULL, "usage:");
	expect("frobnicate", 2, NULL, "unknown command 'frobnicate'");
	expect("top", 2, NULL, "unknown command");
	expect("status --frob", 2, NULL, "unknown option '--frob'");
	expect("drops --watch", 2, NULL, "unknown option '--watch'");
	expect("status extra", 2, NULL, "too many words");
	expect("status --socket", 2, NULL, "--socket needs a path");
	expect("check", 2, NULL, "which file?");
	expect("check a b", 2, NULL, "too many words");
	expect("check /nonexistent/sluice.yaml", 2, NULL, "No such file");
	expect("check --json /nonexistent/sluice.yaml", 2, "\"ok\":false", NULL);
}

static void check_warns(void **state)
{
	char path[] = "/tmp/slt-cli-XXXXXX", line[128];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_true(dprintf(fd, "gateway: {id: g}\nmqtt:\n  map:\n  - {filter: a/#, topic: t}\n"
				"  - {filter: a/b, topic: t}\n") > 0);
	close(fd);
	snprintf(line, sizeof(line), "check %s", path);
	expect(line, 0, ": ok: gateway g, 0 ports, 0 listeners, 1 topic, 2 MQTT rules",
	       ":5:14: mqtt.map[1].filter: warning: can never match");
	snprintf(line, sizeof(line), "check --json %s", path);
	expect(line, 0, "\"line\":5,\"column\":14,\"key\":\"mqtt.map[1].filter\"", NULL);
	expect(line, 0, "\"ok\":true", NULL);
	unlink(path);
}

static void words_that_need_nobody(void **state)
{
	(void)state;
	expect("help", 0, "usage: sluice COMMAND", NULL);
	expect("--help", 0, "--socket PATH", NULL);
	expect("--version", 0, "sluice ", NULL);
}

static void nobody_there(void **state)
{
	(void)state;
	expect("status --socket /nonexistent/s", 1, NULL, "is not running");
	expect("--socket /nonexistent/s drops", 1, NULL, "is not running");
	setenv("SLUICE_SOCKET", "/nonexistent/of-env", 1);
	expect("status", 1, NULL, "/nonexistent/of-env");
	unsetenv("SLUICE_SOCKET");
}

static json_t *status_cmd(void *arg, const json_t *req)
{
	(void)req;
	return json_pack("{s:s, s:b, s:{s:i, s:i, s:i}}", "gateway", "gw-test", "ready",
			 *(bool *)arg, "ledger", "wire", 10, "ring_full", 4, "difference", 0);
}

static void with_a_daemon(void **state)
{
	static const struct sl_control_cmd cmds[] = {{"status", status_cmd}};
	char dir[] = "/tmp/slt-cli-XXXXXX", path[64], line[128];
	bool ready = true;
	struct sl_control_cfg cfg = {.path = path, .cmds = cmds, .cmd_cnt = 1, .arg = &ready};
	struct sl_control *ctl = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	assert_int_equal(sl_control_start(&cfg, &ctl), 0);
	snprintf(line, sizeof(line), "status --socket %s", path);
	expect(line, 0, "every frame accounted for", NULL);
	snprintf(line, sizeof(line), "status --json --socket=%s", path);
	expect(line, 0, "\"gateway\": \"gw-test\"", NULL);
	snprintf(line, sizeof(line), "drops --socket %s", path);
	expect(line, 0, "ring_full: 4 (40.00 % of frames)", NULL);
	snprintf(line, sizeof(line), "drops --json --socket %s", path);
	expect(line, 0, "\"share\": 0.4", NULL);
	sl_control_stop(ctl);

	ready = false; /* a second server, so that no thread reads what changes */
	assert_int_equal(sl_control_start(&cfg, &ctl), 0);
	snprintf(line, sizeof(line), "status --socket %s", path);
	expect(line, 1, "NOT READY", NULL);
	sl_control_stop(ctl);

	cfg.cmd_cnt = 0;
	assert_int_equal(sl_control_start(&cfg, &ctl), 0);
	expect(line, 1, NULL, "sluiced: unknown command");
	sl_control_stop(ctl);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_words),
		cmocka_unit_test(check_warns),
		cmocka_unit_test(words_that_need_nobody),
		cmocka_unit_test(nobody_there),
		cmocka_unit_test(with_a_daemon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

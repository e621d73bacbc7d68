/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "platform/base/clock.h"
#include "platform/cli/cli.h"
#include "platform/cli/render.h"
#include "platform/control/control.h"

static const char *advice(int rc)
{
	switch (rc) {
	case -ENOENT:
	case -ECONNREFUSED:
		return "sluiced is not running, or its admin.socket is elsewhere (--socket PATH)";
	case -EACCES:
		return "may not use it: be root, or of the socket's group";
	case -ETIMEDOUT:
		return "sluiced does not answer";
	case -EPROTO:
		return "what answers there is not sluiced";
	default:
		return strerror(-rc);
	}
}

json_t *sl_cli_call(struct sl_cli *cli, const char *cmd)
{
	json_t *req = json_pack("{s:s}", "cmd", cmd), *answer = sl_cli_ask(cli, req);

	json_decref(req);
	return answer;
}

json_t *sl_cli_ask(struct sl_cli *cli, const json_t *req)
{
	json_t *answer = NULL;
	int rc = sl_control_ask(cli->socket, req, SL_CLI_TIMEOUT_MS, &answer);

	if (rc == 0)
		return answer;
	if (rc == -EREMOTEIO)
		fprintf(cli->err, "sluice: sluiced: %s\n",
			json_string_value(json_object_get(answer, "error")));
	else
		fprintf(cli->err, "sluice: %s: %s\n", cli->socket, advice(rc));
	json_decref(answer);
	return NULL;
}

static void put_json(struct sl_cli *cli, const json_t *v)
{
	json_dumpf(v, cli->out, cli->watch ? JSON_COMPACT : JSON_INDENT(2));
	fputs("\n", cli->out);
}

static void show(struct sl_cli *cli, const json_t *st, const json_t *prev, double dt_s, bool screen)
{
	if (cli->json) {
		put_json(cli, st);
	} else if (cli->watch && !screen) {
		sl_render_line(cli->out, st, prev, dt_s);
	} else {
		if (cli->watch)
			fputs("\033[H\033[2J", cli->out); /* home, clear */
		sl_render_status(cli->out, st, prev, dt_s);
	}
	fflush(cli->out);
}

static int watch(struct sl_cli *cli, json_t *st)
{
	bool screen = isatty(fileno(cli->out));
	uint64_t then = sl_clock_mono_ns();
	json_t *prev = st;

	show(cli, st, NULL, 0, screen);
	while (!ferror(cli->out)) {
		poll(NULL, 0, SL_CLI_WATCH_MS);
		st = sl_cli_call(cli, "status");
		if (!st)
			break;
		uint64_t now = sl_clock_mono_ns();
		show(cli, st, prev, (double)(now - then) / 1e9, screen);
		json_decref(prev);
		prev = st;
		then = now;
	}
	json_decref(prev);
	return SL_CLI_UNREACHED;
}

int sl_cli_status(struct sl_cli *cli)
{
	json_t *st = sl_cli_call(cli, "status");
	int rc;

	if (!st)
		return SL_CLI_UNREACHED;
	if (cli->watch)
		return watch(cli, st); /* takes st */
	show(cli, st, NULL, 0, false);
	rc = json_is_true(json_object_get(st, "ready")) ? SL_CLI_OK : SL_CLI_UNREACHED;
	json_decref(st);
	return rc;
}

int sl_cli_drops(struct sl_cli *cli)
{
	json_t *st = sl_cli_call(cli, "status"), *drops;

	if (!st)
		return SL_CLI_UNREACHED;
	if (!cli->json) {
		sl_render_drops(cli->out, st);
	} else {
		drops = sl_drops_json(st);
		put_json(cli, drops);
		json_decref(drops);
	}
	json_decref(st);
	return SL_CLI_OK;
}

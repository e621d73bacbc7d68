/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_uplink.c - sluice uplink status | pause | resume | rate N | adopt. */
#include "platform/cli/cli.h"
#include "platform/cli/render.h"
#include "platform/config/values.h"

static const struct verb {
	const char *name;
	bool takes_rate;
	const char *done; /* said after an order */
} VERBS[] = {
	{"status", false, NULL},
	{"pause", false, "paused: records stay in the log; `sluice uplink resume` goes on"},
	{"resume", false, "resumed"},
	{"rate", true, NULL},
	{"adopt", false, "adopted: this data directory is the gateway from now on"},
};

static const struct verb *find(const char *name)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(VERBS); i++)
		if (!strcmp(VERBS[i].name, name))
			return &VERBS[i];
	return NULL;
}

static int complain(struct sl_cli *cli, const char *what, const char *arg)
{
	fprintf(cli->err, "sluice: uplink: %s '%s' (see `sluice help`)\n", what, arg);
	return SL_CLI_USAGE;
}

/* "10MB/s", a number of bytes, "off". */
static bool rate_of(const char *s, uint64_t *ret)
{
	int64_t plain;

	if (!strcmp(s, "off") || !strcmp(s, "OFF")) {
		*ret = 0;
		return true;
	}
	if (sl_value_rate(s, ret) == 0)
		return *ret <= INT64_MAX;
	if (sl_value_int(s, &plain) || plain < 0)
		return false;
	*ret = (uint64_t)plain;
	return true;
}

static int show(struct sl_cli *cli, const struct verb *v, json_t *up)
{
	char rate[SL_VALUE_TEXT_MAX];
	uint64_t bytes = (uint64_t)sl_json_int(up, "rate_bytes");

	if (cli->json) {
		json_dumpf(up, cli->out, JSON_INDENT(2));
		fputs("\n", cli->out);
	} else if (v->takes_rate) {
		sl_value_rate_text(bytes, rate);
		fprintf(cli->out, "rate: %s, until the next start of sluiced\n",
			bytes ? rate : "no cap");
	} else if (v->done) {
		fprintf(cli->out, "%s\n", v->done);
	} else {
		sl_render_uplink_full(cli->out, up);
	}
	json_decref(up);
	return SL_CLI_OK;
}

int sl_cli_uplink(struct sl_cli *cli)
{
	const struct verb *v = find(cli->arg ? cli->arg : "status");
	char cmd[32];
	uint64_t rate = 0;
	json_t *req, *up;

	if (!v)
		return complain(cli, "unknown word", cli->arg);
	if (!v->takes_rate && cli->arg2)
		return complain(cli, "too many words at", cli->arg2);
	if (v->takes_rate && (!cli->arg2 || !rate_of(cli->arg2, &rate)))
		return complain(cli, "a rate is 10MB/s, 500KiB/s or off, not",
				cli->arg2 ? cli->arg2 : "");
	snprintf(cmd, sizeof(cmd), "uplink.%s", v->name);
	req = json_pack("{s:s}", "cmd", cmd);
	if (v->takes_rate)
		json_object_set_new(req, "bytes_per_s", json_integer((json_int_t)rate));
	up = sl_cli_ask(cli, req);
	json_decref(req);
	return up ? show(cli, v, up) : SL_CLI_UNREACHED;
}

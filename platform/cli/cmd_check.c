/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "platform/cli/cli.h"
#include "platform/config/config.h"

static const char *plural(uint32_t n)
{
	return n == 1 ? "" : "s";
}

static void put_ok(struct sl_cli *cli, const struct sl_config *cfg)
{
	if (cli->json) {
		json_t *o = json_pack("{s:b, s:s, s:i, s:i, s:i}", "ok", 1, "gateway",
				      cfg->gateway.id, "ports", (int)cfg->port_cnt, "listeners",
				      (int)cfg->listener_cnt, "topics", (int)cfg->topic_cnt);
		json_dumpf(o, cli->out, JSON_COMPACT);
		fputs("\n", cli->out);
		json_decref(o);
		return;
	}
	fprintf(cli->out, "%s: ok: gateway %s, %u port%s, %u listener%s, %u topic%s\n", cli->arg,
		cfg->gateway.id, cfg->port_cnt, plural(cfg->port_cnt), cfg->listener_cnt,
		plural(cfg->listener_cnt), cfg->topic_cnt, plural(cfg->topic_cnt));
}

static void put_errors_json(struct sl_cli *cli, const struct sl_config_errors *errs)
{
	json_t *list = json_array(), *o;

	for (uint32_t i = 0; i < errs->cnt; i++) {
		const struct sl_config_error *e = &errs->err[i];
		json_array_append_new(list,
				      json_pack("{s:s, s:i, s:i, s:s, s:s}", "file", e->file,
						"line", (int)e->line, "column", (int)e->column,
						"key", e->key, "text", e->text));
	}
	o = json_pack("{s:b, s:o, s:i}", "ok", 0, "errors", list, "hidden", (int)errs->hidden);
	json_dumpf(o, cli->out, JSON_COMPACT);
	fputs("\n", cli->out);
	json_decref(o);
}

int sl_cli_check(struct sl_cli *cli)
{
	struct sl_config_errors errs = {0};
	struct sl_config *cfg = NULL;
	int rc = sl_config_load(cli->arg, &cfg, &errs);

	if (rc == 0) {
		put_ok(cli, cfg);
	} else if (cli->json) {
		put_errors_json(cli, &errs);
	} else {
		sl_config_errors_print(&errs, cli->err);
		if (errs.cnt == 0)
			fprintf(cli->err, "%s: %s\n", cli->arg, strerror(-rc));
	}
	sl_config_free(cfg);
	sl_config_errors_fini(&errs);
	return rc == 0 ? SL_CLI_OK : SL_CLI_USAGE;
}

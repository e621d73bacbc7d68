/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "platform/cli/cli.h"
#include "platform/config/config.h"

static const char *plural(uint32_t n)
{
	return n == 1 ? "" : "s";
}

static json_t *list_json(const struct sl_config_list *list)
{
	json_t *out = json_array();

	for (uint32_t i = 0; i < list->cnt; i++) {
		const struct sl_config_error *e = &list->err[i];
		json_array_append_new(out, json_pack("{s:s, s:i, s:i, s:s, s:s}", "file", e->file,
						     "line", (int)e->line, "column", (int)e->column,
						     "key", e->key, "text", e->text));
	}
	return out;
}

static void put_json(struct sl_cli *cli, json_t *o)
{
	json_dumpf(o, cli->out, JSON_COMPACT);
	fputs("\n", cli->out);
	json_decref(o);
}

static void put_ok_json(struct sl_cli *cli, const struct sl_config *cfg,
			const struct sl_config_errors *errs)
{
	put_json(cli,
		 json_pack("{s:b, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:s?, s:o, s:i}", "ok", 1,
			   "gateway", cfg->gateway.id, "ports", (int)cfg->port_cnt, "listeners",
			   (int)cfg->listener_cnt, "topics", (int)cfg->topic_cnt, "mqtt_rules",
			   (int)cfg->mqtt.rule_cnt, "mqtt_brokers", (int)cfg->mqtt.broker_cnt,
			   "downlinks", (int)cfg->downlink_cnt, "uplink",
			   cfg->uplink.bootstrap[0] ? cfg->uplink.bootstrap : NULL, "warnings",
			   list_json(&errs->warnings), "hidden", (int)errs->warnings.hidden));
}

static void put_ok(struct sl_cli *cli, const struct sl_config *cfg)
{
	const struct {
		const char *noun;
		uint32_t cnt;
		bool always;
	} parts[] = {
		{"port", cfg->port_cnt, true},
		{"listener", cfg->listener_cnt, true},
		{"topic", cfg->topic_cnt, true},
		{"MQTT rule", cfg->mqtt.rule_cnt, cfg->mqtt.on},
		{"downlink", cfg->downlink_cnt, false},
	};

	fprintf(cli->out, "%s: ok: gateway %s", cli->arg, cfg->gateway.id);
	for (size_t i = 0; i < SL_ARRAY_SIZE(parts); i++) {
		if (parts[i].always || parts[i].cnt)
			fprintf(cli->out, ", %u %s%s", parts[i].cnt, parts[i].noun,
				plural(parts[i].cnt));
	}
	if (cfg->uplink.bootstrap[0])
		fprintf(cli->out, ", uplink to %s", cfg->uplink.bootstrap);
	fputs("\n", cli->out);
}

static void put_errors_json(struct sl_cli *cli, const struct sl_config_errors *errs)
{
	put_json(cli, json_pack("{s:b, s:o, s:i}", "ok", 0, "errors", list_json(&errs->errors),
				"hidden", (int)errs->errors.hidden));
}

int sl_cli_check(struct sl_cli *cli)
{
	struct sl_config_errors errs = {0};
	struct sl_config *cfg = NULL;
	int rc = sl_config_load(cli->arg, &cfg, &errs);

	if (rc == 0 && cli->json) {
		put_ok_json(cli, cfg, &errs);
	} else if (rc == 0) {
		sl_config_errors_print(&errs, cli->err);
		put_ok(cli, cfg);
	} else if (cli->json) {
		put_errors_json(cli, &errs);
	} else {
		sl_config_errors_print(&errs, cli->err);
		if (errs.errors.cnt == 0)
			fprintf(cli->err, "%s: %s\n", cli->arg, strerror(-rc));
	}
	sl_config_free(cfg);
	sl_config_errors_fini(&errs);
	return rc == 0 ? SL_CLI_OK : SL_CLI_USAGE;
}

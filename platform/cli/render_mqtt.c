/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/cli/render.h"

/* True if any figure of the object, or of an object in it, is not 0. */
static bool any(json_t *obj)
{
	const char *key;
	json_t *v;

	json_object_foreach(obj, key, v)
	{
		if (json_integer_value(v) || any(v))
			return true;
	}
	return false;
}

static void put_broker(FILE *out, const json_t *b)
{
	const char *said = sl_json_str(b, "last_error", "");
	int64_t lost = sl_json_int(b, "lost");
	bool up = json_is_true(json_object_get(b, "connected"));
	char num[SL_NUM_TEXT];

	fprintf(out, "  %-7s ", json_is_true(json_object_get(b, "plugin")) ? "plugin" : "broker");
	sl_put_text(out, sl_json_str(b, "name", "?"));
	fprintf(out, "   %s", up ? "connected" : "NOT CONNECTED");
	fprintf(out, "   %s messages", sl_num_text(sl_json_int(b, "messages"), num));
	if (lost)
		fprintf(out, "   %s lost", sl_num_text(lost, num));
	fputs("\n", out);
	if (said[0]) {
		fputs("          ", out);
		sl_put_text(out, said);
		fputs("\n", out);
	}
}

static void put_downlink(FILE *out, json_t *down)
{
	if (!any(down))
		return;
	fputs("\ncommands to devices, since then\n", out);
	sl_put_book(out, down);
}

void sl_render_mqtt(FILE *out, const json_t *st)
{
	json_t *mqtt = json_object_get(st, "mqtt"), *down = json_object_get(st, "downlink"), *b;
	const json_t *brokers = json_object_get(mqtt, "brokers");
	size_t i;

	if (json_array_size(brokers) || any(mqtt)) {
		fputs("\nMQTT messages, since the data directory was made\n", out);
		sl_put_book(out, mqtt);
		sl_put_verdict(out, mqtt, "message", "messages");
		json_array_foreach(brokers, i, b) put_broker(out, b);
	}
	put_downlink(out, down);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "platform/cli/render.h"

int64_t sl_json_int(const json_t *obj, const char *key)
{
	return json_integer_value(json_object_get(obj, key));
}

const char *sl_json_str(const json_t *obj, const char *key, const char *otherwise)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s ? s : otherwise;
}

const char *sl_num_text(int64_t v, char buf[SL_NUM_TEXT])
{
	char plain[24];
	int n = snprintf(plain, sizeof(plain), "%" PRIu64, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
	char *p = buf;

	if (v < 0)
		*p++ = '-';
	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			*p++ = ',';
		*p++ = plain[i];
	}
	*p = '\0';
	return buf;
}

const char *sl_bytes_text(int64_t v, char buf[SL_NUM_TEXT])
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
	double d = (double)v / 1024;
	size_t u = 0;

	if (v < 1024) {
		snprintf(buf, SL_NUM_TEXT, "%" PRId64 " B", v);
		return buf;
	}
	for (; d >= 1023.95 && u + 1 < SL_ARRAY_SIZE(units); u++) /* never "1024.0" */
		d /= 1024;
	snprintf(buf, SL_NUM_TEXT, "%.1f %s", d, units[u]);
	return buf;
}

void sl_put_text(FILE *out, const char *s)
{
	for (; *s; s++)
		fputc((uint8_t)*s < 0x20 || *s == 0x7f ? '?' : *s, out);
}

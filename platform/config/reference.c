/* SPDX-License-Identifier: Apache-2.0 */
/* docs/configuration.md from the table of keys. */
#include "platform/config/keys.h"
#include "platform/config/values.h"

static const char INTRO[] =
	"<!-- Generated from the table of keys (platform/config/keys.c). Do not edit: a test "
	"compares. "
	"-->\n"
	"# Configuration\n\n"
	"One YAML file, `/etc/sluice/sluice.yaml`, and whatever `conf.d/*.yaml` lies beside it: "
	"mappings join, lists append, a value may be given in one file only. `sluice check FILE` "
	"says "
	"what is wrong with it, with file, line and column, needs no privilege and changes "
	"nothing. "
	"`configs/sluice.yaml` is the same as this page with every key in its place.\n\n"
	"- A key that is not here is an error.\n"
	"- `${NAME}` in a value is the environment variable NAME; `${NAME:-text}` has a default "
	"for "
	"when it is not set or empty; `$$` is a dollar sign. What a variable holds is one value "
	"and "
	"never structure.\n"
	"- Sizes: `16KiB`, `8MiB`, `10GiB`, or a plain number of bytes. Times: `500us`, `5ms`, "
	"`10s`, "
	"`7d`; a unit is required. Shares: `70%` or a size. Rates: `10MB/s`, `500KiB/s`.\n"
	"- A text that begins with `{` or `#` needs quotes: `key: '{line}'`.\n"
	"- Secrets stand in files of their own, one line each (`password_file`, "
	"`client_files`); they are read when they are needed.\n"
	"- What is no mistake, but hardly meant, is a warning: a rule that can never match, a "
	"file that is not there. `sluice check` prints it and exits with 0, `sluiced` logs it at "
	"its start.\n"
	"- Settings under `kafka.config` and `topics[].config` bear Kafka's own names and are in "
	"Kafka's own units: plain numbers of bytes or milliseconds.\n"
	"- Limits: a file has at most 1 MiB, 8 levels, and there are at most 64 files. Anchors, "
	"aliases "
	"and tags are not supported.\n"
	"- **required** means that there is no default.\n";

static void shown(const char *path, FILE *out)
{
	for (const char *p = path; *p; p++)
		fputc(*p == '/' ? '.' : *p, out);
}

static void print_values(const struct sl_key *k, FILE *out)
{
	char lo[SL_VALUE_TEXT_MAX], hi[SL_VALUE_TEXT_MAX];
	const char *sep = "";

	if (!k->choices || (k->type != &SL_T_ENUM && k->type != &SL_T_WORD)) {
		fputs(k->type->name, out);
		sep = ", ";
	}
	if (k->type->text && k->max) {
		k->type->text(k->min, lo);
		k->type->text(k->max, hi);
		if (k->max == INT64_MAX)
			fprintf(out, ", from %s", lo);
		else
			fprintf(out, ", %s to %s", lo, hi);
	}
	for (const struct sl_choice *c = k->choices; c && c->name; c++) {
		if (c->later)
			continue;
		fprintf(out, "%s`%s`", sep, c->name);
		sep = ", ";
	}
}

static void print_default(const struct sl_key *k, FILE *out)
{
	if (k->flags & SL_KEY_REQUIRED)
		fputs("**required**", out);
	else if (k->def_doc)
		fputs(k->def_doc, out);
	else if (k->def)
		fprintf(out, "`%s`", k->def);
}

static bool is_head(const struct sl_key *k)
{
	return k->type == &SL_T_SECTION || k->type == &SL_T_LIST;
}

static void print_rows(const char *path, FILE *out)
{
	bool head = false;

	for (size_t i = 0; i < SL_KEY_CNT; i++) {
		const struct sl_key *k = &SL_KEYS[i];
		const char *name;
		if (!sl_key_below(k, path, &name) || is_head(k) || (k->flags & SL_KEY_LATER))
			continue;
		if (!head)
			fputs("\n| key | value | default | meaning |\n|---|---|---|---|\n", out);
		head = true;
		fprintf(out, "| `%s` | ", name);
		print_values(k, out);
		fputs(" | ", out);
		print_default(k, out);
		fprintf(out, " | %s |\n", k->help);
	}
}

static void print_later(FILE *out)
{
	fputs("\n## Not in this version\n\nThese are refused by name, so that a file for a later "
	      "version does not half work:\n\n",
	      out);
	for (size_t i = 0; i < SL_KEY_CNT; i++) {
		const struct sl_key *k = &SL_KEYS[i];
		if (k->flags & SL_KEY_LATER) {
			fputs("- `", out);
			shown(k->path, out);
			fputs("`", out);
			if (k->instead)
				fprintf(out, ": use %s", k->instead);
			fputs("\n", out);
			continue;
		}
		for (const struct sl_choice *c = k->choices; c && c->name; c++) {
			if (!c->later)
				continue;
			fputs("- `", out);
			shown(k->path, out);
			fprintf(out, ": %s`\n", c->name);
		}
	}
}

void sl_config_print_reference(FILE *out)
{
	char path[128];

	fputs(INTRO, out);
	for (size_t i = 0; i < SL_KEY_CNT; i++) {
		const struct sl_key *k = &SL_KEYS[i];
		if (!is_head(k))
			continue;
		snprintf(path, sizeof(path), "%s%s", k->path, k->type == &SL_T_LIST ? "[]" : "");
		fputs("\n## ", out);
		shown(path, out);
		fprintf(out, "\n\n%s\n", k->help);
		print_rows(path, out);
	}
	print_later(out);
}

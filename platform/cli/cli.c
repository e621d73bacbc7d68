/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: one table of commands, four options. */
#include "platform/cli/cli.h"

#include <stdlib.h>

#include "sl_version.h"

static int cmd_help(struct sl_cli *cli);
static int cmd_version(struct sl_cli *cli);

enum takes { TAKES_JSON = 1, TAKES_WATCH = 2, TAKES_SOCKET = 4, TAKES_ARG = 8, TAKES_WORDS = 16 };

static const struct command {
	const char *name, *shown;
	unsigned takes;
	int (*fn)(struct sl_cli *cli);
	const char *help;
} COMMANDS[] = {
	{"check", "check FILE", TAKES_ARG | TAKES_JSON, sl_cli_check,
	 "what is wrong with a config file, and what hardly was meant; needs no root"},
	{"status", "status", TAKES_JSON | TAKES_WATCH | TAKES_SOCKET, sl_cli_status,
	 "ports, rates, the loss ledger, disk, topics; --watch: again every second"},
	{"drops", "drops", TAKES_JSON | TAKES_SOCKET, sl_cli_drops,
	 "what did not become a record, why, and what to do"},
	{"uplink", "uplink", TAKES_WORDS | TAKES_JSON | TAKES_SOCKET, sl_cli_uplink,
	 "how far the centre is: uplink status; pause, resume, rate 10MB/s|off, adopt"},
	{"help", "help", 0, cmd_help, "this text"},
	{"--help", NULL, 0, cmd_help, NULL},
	{"-h", NULL, 0, cmd_help, NULL},
	{"--version", "--version", 0, cmd_version, "the version"},
};

static void put_usage(FILE *out)
{
	fputs("usage: sluice COMMAND [OPTION]...\n\ncommands\n", out);
	for (size_t i = 0; i < SL_ARRAY_SIZE(COMMANDS); i++) {
		if (COMMANDS[i].help)
			fprintf(out, "  %-12s %s\n", COMMANDS[i].shown, COMMANDS[i].help);
	}
	fputs("\noptions\n"
	      "  --json         machine-readable answer (check, status, drops, uplink)\n"
	      "  --watch        keep going (status); a line a second if it is not a terminal\n"
	      "  --socket PATH  sluiced's control socket (default $SLUICE_SOCKET or " SL_CLI_SOCKET
	      ")\n\n"
	      "exit: 0 done, 1 sluiced is not there or not ready, 2 a mistake in the command or "
	      "config\n",
	      out);
}

static int cmd_help(struct sl_cli *cli)
{
	put_usage(cli->out);
	return SL_CLI_OK;
}

static int cmd_version(struct sl_cli *cli)
{
	fprintf(cli->out, "sluice %s\n", SL_VERSION);
	return SL_CLI_OK;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(COMMANDS); i++) {
		if (!strcmp(COMMANDS[i].name, name))
			return &COMMANDS[i];
	}
	return NULL;
}

static int complain(struct sl_cli *cli, const char *what, const char *arg)
{
	fprintf(cli->err, "sluice: %s%s%s%s (see `sluice help`)\n", what, arg ? " '" : "",
		arg ? arg : "", arg ? "'" : "");
	return SL_CLI_USAGE;
}

/* What options of the command line need, beside where to put them. */
static unsigned option_bit(const char *arg)
{
	if (!strcmp(arg, "--json"))
		return TAKES_JSON;
	if (!strcmp(arg, "--watch"))
		return TAKES_WATCH;
	if (!strcmp(arg, "--socket") || !strncmp(arg, "--socket=", 9))
		return TAKES_SOCKET;
	return 0;
}

/* Returns how many words of argv it used, 0 after complaining. */
static int take_word(struct sl_cli *cli, const struct command *cmd, int left, char **argv)
{
	unsigned bit = option_bit(argv[0]);

	if (argv[0][0] == '-' && argv[0][1]) {
		if (!(bit & cmd->takes))
			return complain(cli, "unknown option", argv[0]), 0;
		cli->json |= bit == TAKES_JSON;
		cli->watch |= bit == TAKES_WATCH;
		if (bit != TAKES_SOCKET)
			return 1;
		if (argv[0][8] == '=') {
			cli->socket = argv[0] + 9;
			return 1;
		}
		if (left < 2)
			return complain(cli, "--socket needs a path", NULL), 0;
		cli->socket = argv[1];
		return 2;
	}
	if (cli->arg ? !(cmd->takes & TAKES_WORDS) || cli->arg2
		     : !(cmd->takes & (TAKES_ARG | TAKES_WORDS)))
		return complain(cli, "too many words at", argv[0]), 0;
	*(cli->arg ? &cli->arg2 : &cli->arg) = argv[0];
	return 1;
}

int sl_cli_main(struct sl_cli *cli, int argc, char **argv)
{
	const struct command *cmd;
	const char *env = getenv("SLUICE_SOCKET");
	int i = 1;

	if (!cli->socket)
		cli->socket = env && *env ? env : SL_CLI_SOCKET;
	if (argc >= 3 && !strcmp(argv[1], "--socket")) { /* also before the command */
		cli->socket = argv[2];
		i = 3;
	}
	if (i >= argc) {
		put_usage(cli->err);
		return SL_CLI_USAGE;
	}
	cmd = find_command(argv[i]);
	if (!cmd)
		return complain(cli, "unknown command", argv[i]);
	for (i++; i < argc;) {
		int used = take_word(cli, cmd, argc - i, argv + i);
		if (used == 0)
			return SL_CLI_USAGE;
		i += used;
	}
	if ((cmd->takes & TAKES_ARG) && !cli->arg)
		return complain(cli, "which file?", NULL);
	return cmd->fn(cli);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli.h - the program `sluice`: a table of commands over the control socket and the config reader.
 *
 * Exit codes: 0 done; 1 the daemon cannot be reached, or is not ready; 2 a mistake on the command
 * line or in a config file. Answers go to `out`, complaints to `err`.
 */
#ifndef SL_CLI_CLI_H
#define SL_CLI_CLI_H

#include <jansson.h>
#include <stdio.h>

#include "sluice/base.h"

enum sl_cli_exit { SL_CLI_OK = 0, SL_CLI_UNREACHED = 1, SL_CLI_USAGE = 2 };

#define SL_CLI_SOCKET     "/run/sluice/control.sock"
#define SL_CLI_TIMEOUT_MS 5000
#define SL_CLI_WATCH_MS   1000

struct sl_cli {
	FILE *out, *err;
	const char *socket; /* --socket, else $SLUICE_SOCKET, else SL_CLI_SOCKET */
	bool json;          /* --json */
	bool watch;         /* --watch */
	const char *arg;    /* the command's argument, or NULL */
	const char *arg2;   /* its second */
};

/* The whole program but for the exit. */
int sl_cli_main(struct sl_cli *cli, int argc, char **argv);

/* Commands (cmd_*.c): return an exit code. */
int sl_cli_check(struct sl_cli *cli);
int sl_cli_status(struct sl_cli *cli);
int sl_cli_drops(struct sl_cli *cli);
int sl_cli_uplink(struct sl_cli *cli);

/* Asks the daemon; NULL after saying on `err` what is wrong and what to try. Owned JSON. */
json_t *sl_cli_call(struct sl_cli *cli, const char *cmd);
json_t *sl_cli_ask(struct sl_cli *cli, const json_t *req); /* a whole request, borrowed */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>

#include "platform/cli/cli.h"

int main(int argc, char **argv)
{
	struct sl_cli cli = {.out = stdout, .err = stderr};
	int rc;

	signal(SIGPIPE, SIG_DFL); /* `sluice status --watch | head` just ends */
	rc = sl_cli_main(&cli, argc, argv);
	if (fflush(stdout) != 0 && rc == SL_CLI_OK)
		rc = SL_CLI_UNREACHED;
	return rc;
}

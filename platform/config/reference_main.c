/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the reference page to stdout, for the build. */
#include "platform/config/config.h"

int main(void)
{
	sl_config_print_reference(stdout);
	return fflush(stdout) == 0 ? 0 : 1;
}

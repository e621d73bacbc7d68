/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "eal_rundir.h"

static bool parent_of(const char *dir, char *buf, size_t len)
{
	const char *slash = strrchr(dir, '/');

	if (!slash || slash == dir || (size_t)(slash - dir) >= len)
		return false;
	memcpy(buf, dir, (size_t)(slash - dir));
	buf[slash - dir] = 0;
	return true;
}

static void empty_folder(const char *dir)
{
	DIR *d = opendir(dir);

	if (!d)
		return;
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			(void)unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
}

void sl_eal_rundir_remove(const char *dir)
{
	char parent[PATH_MAX];

	if (!parent_of(dir, parent, sizeof(parent)))
		return;
	empty_folder(dir);
	(void)rmdir(dir);
	(void)rmdir(parent); /* fails while other DPDK processes have theirs, as it should */
}

int sl_eal_rundir_pid(const char *name)
{
	size_t n = strlen(SL_EAL_PREFIX);
	char *end;

	if (strncmp(name, SL_EAL_PREFIX, n) || name[n] < '1' || name[n] > '9')
		return 0;
	long v = strtol(name + n, &end, 10);
	return *end || v > INT_MAX ? 0 : (int)v;
}

void sl_eal_rundir_sweep(const char *dir)
{
	char parent[PATH_MAX], path[PATH_MAX];

	if (!parent_of(dir, parent, sizeof(parent)))
		return;
	DIR *d = opendir(parent);
	if (!d)
		return;
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		int pid = sl_eal_rundir_pid(e->d_name);
		if (!pid || kill(pid, 0) == 0 || errno != ESRCH)
			continue;
		int n = snprintf(path, sizeof(path), "%s/%s", parent, e->d_name);
		if (n < 0 || n >= (int)sizeof(path) || !strcmp(path, dir))
			continue;
		empty_folder(path);
		(void)rmdir(path);
	}
	closedir(d);
}

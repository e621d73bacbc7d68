/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_replay.c - a main() for libFuzzer targets without libFuzzer: runs every file named on the
 * command line, or found in a folder named there, through LLVMFuzzerTestOneInput(). A sanitizer or
 * SL_ASSERT speaks when something is wrong. Exit 1 if nothing was found to run.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *buf = malloc(INPUT_MAX);

	if (!f || !buf) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	size_t n = fread(buf, 1, INPUT_MAX, f);
	fclose(f);
	/* exactly as large as its content, so that a sanitizer sees reads beyond it */
	uint8_t *data = realloc(buf, n ? n : 1);
	LLVMFuzzerTestOneInput(data ? data : buf, n);
	free(data ? data : buf);
	return 1;
}

static int run_dir(DIR *d, const char *path)
{
	const struct dirent *e;
	char file[4096];
	int n = 0;

	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		if (snprintf(file, sizeof(file), "%s/%s", path, e->d_name) < (int)sizeof(file))
			n += run_file(file);
	}
	closedir(d);
	return n;
}

int main(int argc, char **argv)
{
	int n = 0;

	for (int i = 1; i < argc; i++) {
		DIR *d = opendir(argv[i]);

		n += d ? run_dir(d, argv[i]) : run_file(argv[i]);
	}
	printf("%d inputs\n", n);
	return n ? 0 : 1;
}

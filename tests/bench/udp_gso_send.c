/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_gso_send.c - the best local source for a socket that listens on loopback: UDP segmentation
 * offload, many datagrams per system call.
 *
 *   udp_gso_send ADDRESS PORT LINES BYTES SECONDS [RATE]
 *
 * LINES: a file of lines of BYTES bytes (newline not counted), sent one after the other and again
 * from the start. RATE in datagrams per second, 0 or absent: full speed. Prints
 * {"sent":n,"seconds":s}; what the socket drops is counted by the kernel, not here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SEGMENTS_MAX = 64, BYTES_MAX = 1472, LINES_MAX = 1 << 16, SEND_MAX = 65000 };
enum { SECONDS_MAX = 30, BATCHES_PER_S = 2000 };

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Lines without their newline, back to back. Returns how many; 0 on error. */
static size_t load(const char *path, size_t bytes, uint8_t **ret_buf)
{
	FILE *f = fopen(path, "r");
	uint8_t *buf = malloc((size_t)LINES_MAX * bytes);
	size_t n = 0;
	char line[BYTES_MAX + 2];

	while (f && buf && n < LINES_MAX && fgets(line, sizeof line, f)) {
		size_t len = strcspn(line, "\n");
		if (len != bytes) {
			errno = EMSGSIZE;
			n = 0;
			break;
		}
		memcpy(buf + n++ * bytes, line, bytes);
	}
	if (f)
		fclose(f);
	if (!n)
		free(buf);
	else
		*ret_buf = buf;
	return n;
}

static int open_socket(const char *address, uint16_t port, int segment)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = 4 << 20;

	if (fd < 0 || inet_pton(AF_INET, address, &sa.sin_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&sa, sizeof sa) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) ||
	    setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment))
		return -1;
	return fd;
}

int main(int argc, char **argv)
{
	uint8_t *buf = NULL;
	if (argc < 6 || argc > 7) {
		fprintf(stderr, "usage: udp_gso_send ADDRESS PORT LINES BYTES SECONDS [RATE]\n");
		return 2;
	}
	size_t bytes = strtoul(argv[4], NULL, 10);
	double seconds = strtod(argv[5], NULL), rate = argc > 6 ? strtod(argv[6], NULL) : 0;
	if (bytes < 1 || bytes > BYTES_MAX || !(seconds > 0 && seconds <= SECONDS_MAX)) {
		fprintf(stderr, "udp_gso_send: BYTES or SECONDS out of range\n");
		return 2;
	}
	size_t lines = load(argv[3], bytes, &buf);
	int fd = open_socket(argv[1], (uint16_t)strtoul(argv[2], NULL, 10), (int)bytes);
	if (!lines || fd < 0) {
		fprintf(stderr, "udp_gso_send: %s\n", strerror(errno));
		return 1;
	}
	size_t burst = SEND_MAX / bytes < SEGMENTS_MAX ? SEND_MAX / bytes : SEGMENTS_MAX;
	if (rate && rate / BATCHES_PER_S < (double)burst)
		burst = rate < BATCHES_PER_S ? 1 : (size_t)(rate / BATCHES_PER_S);
	uint64_t sent = 0;
	size_t at = 0;
	double start = now_s(), end = start + seconds, t = start;
	while (t < end) {
		if (rate && (double)sent > (t - start) * rate) {
			t = now_s(); /* spins: the source has a core of its own */
			continue;
		}
		size_t n = lines - at < burst ? lines - at : burst;
		ssize_t put = send(fd, buf + at * bytes, n * bytes, 0);
		if (put < 0 && errno != ECONNREFUSED && errno != ENOBUFS && errno != EAGAIN) {
			fprintf(stderr, "udp_gso_send: %s\n", strerror(errno));
			return 1;
		}
		if (put > 0)
			sent += n;
		at = at + n == lines ? 0 : at + n;
		t = now_s();
	}
	printf("{\"sent\":%llu,\"seconds\":%.6f}\n", (unsigned long long)sent, now_s() - start);
	free(buf);
	return 0;
}

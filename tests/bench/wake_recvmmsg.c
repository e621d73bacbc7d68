/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wake_recvmmsg.c - how long a blocking recvmmsg takes to see a datagram. The baseline of P10.
 *
 *   wake_recvmmsg ADDRESS PORT COUNT SKIP
 *
 * Says "ready" when bound; ends after COUNT stamped datagrams (stamp.h), the first SKIP of them
 * not kept, or two seconds of silence after the first. Prints what stamp.h says.
 */
#include "stamp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { BURST = 64, BYTES_MAX = 2048 };

static double cpu_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static uint8_t buf[BURST][BYTES_MAX];
	struct mmsghdr msg[BURST] = {0};
	struct iovec iov[BURST];
	struct sl_stamp_samples s = {.ns = calloc(SL_STAMP_SAMPLES_MAX, sizeof(uint32_t))};

	if (argc != 5 || !s.ns) {
		fprintf(stderr, "usage: wake_recvmmsg ADDRESS PORT COUNT SKIP\n");
		return 2;
	}
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10))};
	uint32_t count = (uint32_t)strtoul(argv[3], NULL, 10);
	s.skip = (uint32_t)strtoul(argv[4], NULL, 10);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (inet_pton(AF_INET, argv[1], &sa.sin_addr) != 1 || fd < 0 ||
	    bind(fd, (struct sockaddr *)&sa, sizeof sa)) {
		fprintf(stderr, "wake_recvmmsg: %s\n", strerror(errno));
		return 1;
	}
	for (int i = 0; i < BURST; i++) {
		iov[i] = (struct iovec){buf[i], BYTES_MAX};
		msg[i].msg_hdr.msg_iov = &iov[i];
		msg[i].msg_hdr.msg_iovlen = 1;
	}
	printf("ready\n");
	fflush(stdout);
	uint64_t start = 0;
	double cpu = 0;
	const struct timeval quiet = {.tv_sec = 2};
	while (s.seen < count) {
		int n = recvmmsg(fd, msg, BURST, MSG_WAITFORONE, NULL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		for (int i = 0; i < n; i++)
			sl_stamp_take(&s, buf[i], msg[i].msg_len);
		if (!start) {
			start = sl_stamp_now();
			cpu = cpu_s();
			setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &quiet, sizeof quiet);
		}
	}
	sl_stamp_print(&s, cpu_s() - cpu, (double)(sl_stamp_now() - start) / 1e9);
	return s.cnt ? 0 : 1;
}

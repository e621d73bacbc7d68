/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stamp_send.c - datagrams that carry their sending time, at a steady rate.
 *
 *   stamp_send ADDRESS PORT BYTES COUNT RATE
 *
 * Waits for each one's time by spinning, so that the sender's own wake-up is not measured; it
 * needs a CPU of its own. Prints {"sent":n,"late":n}: late ones left more than a tenth of their
 * interval after their time.
 */
#include "stamp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BYTES_MAX = 1472, RATE_MAX = 1000000, SECONDS_MAX = 30 };

int main(int argc, char **argv)
{
	uint8_t buf[BYTES_MAX] = {0};

	if (argc != 6) {
		fprintf(stderr, "usage: stamp_send ADDRESS PORT BYTES COUNT RATE\n");
		return 2;
	}
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10))};
	size_t bytes = strtoul(argv[3], NULL, 10);
	uint64_t count = strtoull(argv[4], NULL, 10), rate = strtoull(argv[5], NULL, 10);
	if (inet_pton(AF_INET, argv[1], &sa.sin_addr) != 1 || bytes < SL_STAMP_BYTES ||
	    bytes > BYTES_MAX || rate < 1 || rate > RATE_MAX || count / rate > SECONDS_MAX) {
		fprintf(stderr, "stamp_send: argument out of range\n");
		return 2;
	}
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof sa)) {
		fprintf(stderr, "stamp_send: %s\n", strerror(errno));
		return 1;
	}
	uint64_t interval = 1000000000u / rate, next = sl_stamp_now(), late = 0, sent = 0;
	for (; sent < count; sent++, next += interval) {
		uint64_t v[2] = {SL_STAMP_MAGIC, sl_stamp_now()};
		while (v[1] < next)
			v[1] = sl_stamp_now();
		late += v[1] - next > interval / 10;
		memcpy(buf, v, sizeof v);
		if (send(fd, buf, bytes, 0) < 0 && errno != ECONNREFUSED && errno != ENOBUFS)
			break;
	}
	printf("{\"sent\":%llu,\"late\":%llu}\n", (unsigned long long)sent,
	       (unsigned long long)late);
	close(fd);
	return sent == count ? 0 : 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recvmmsg_append.c - the plainest fast receiver on kernel sockets: recvmmsg of 64, one writev
 * that appends the lines to a file. The baseline of P2.
 *
 *   recvmmsg_append ADDRESS PORT FILE
 *
 * Says "ready" when bound; on SIGTERM or SIGINT takes what is queued, prints
 * {"records":n,"bytes":n} and exits.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BURST = 64, LINE_MAX_BYTES = 2048, RCVBUF = 4 << 20 };

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

struct burst {
	struct mmsghdr msg[BURST];
	struct iovec in[BURST];
	struct iovec out[BURST];
	uint8_t buf[BURST][LINE_MAX_BYTES + 1];
};

static int open_socket(const char *address, uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	int size = RCVBUF, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size))
		goto fail;
	if (inet_pton(AF_INET, address, &sa.sin_addr) != 1) {
		errno = EINVAL;
		goto fail;
	}
	if (bind(fd, (struct sockaddr *)&sa, sizeof sa))
		goto fail;
	return fd;
fail:;
	int err = -errno;
	close(fd);
	return err;
}

static void init_burst(struct burst *b)
{
	for (int i = 0; i < BURST; i++) {
		b->in[i] = (struct iovec){b->buf[i], LINE_MAX_BYTES};
		b->msg[i].msg_hdr.msg_iov = &b->in[i];
		b->msg[i].msg_hdr.msg_iovlen = 1;
	}
}

/* Lines of the burst plus '\n' each; a regular file takes a writev whole or fails. */
static ssize_t append(int out, struct burst *b, int n)
{
	ssize_t want = 0;

	for (int i = 0; i < n; i++) {
		b->buf[i][b->msg[i].msg_len] = '\n';
		b->out[i] = (struct iovec){b->buf[i], b->msg[i].msg_len + 1};
		want += (ssize_t)b->out[i].iov_len;
	}
	ssize_t put = writev(out, b->out, n);
	return put == want ? put : -1;
}

int main(int argc, char **argv)
{
	static struct burst b;
	uint64_t records = 0, bytes = 0;

	if (argc != 4) {
		fprintf(stderr, "usage: recvmmsg_append ADDRESS PORT FILE\n");
		return 2;
	}
	int fd = open_socket(argv[1], (uint16_t)strtoul(argv[2], NULL, 10));
	int out = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0 || out < 0) {
		fprintf(stderr, "recvmmsg_append: %s\n", strerror(fd < 0 ? -fd : errno));
		return 1;
	}
	struct sigaction sa = {.sa_handler = on_signal};
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	init_burst(&b);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		int n = recvmmsg(fd, b.msg, BURST, stop ? MSG_DONTWAIT : MSG_WAITFORONE, NULL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break; /* after a signal: nothing queued any more */
		ssize_t put = append(out, &b, n);
		if (put < 0) {
			fprintf(stderr, "recvmmsg_append: write: %s\n", strerror(errno));
			return 1;
		}
		records += (uint64_t)n;
		bytes += (uint64_t)put;
	}
	printf("{\"records\":%llu,\"bytes\":%llu}\n", (unsigned long long)records,
	       (unsigned long long)bytes);
	return 0;
}

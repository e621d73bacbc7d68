/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake_hostile_test.c - what comes to mqtt.socket and is no plugin of ours; rings that are
 * nonsense; and a ring whose last daemon was killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "hello.h"
#include "intake_int.h"
#include "intake_rig.h"

#define BYTES SL_RING_BYTES_MIN
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static const uint8_t instance[16] = "sixteen bytes..";

struct peer { /* a plugin made by hand */
	int sock, memfd, efd;
	uint8_t *mem;
	struct sl_ring ring;
};

static struct peer peer_new(const struct rig *r, int seals)
{
	struct peer p;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	p.memfd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(p.memfd, SL_RING_PAGE + BYTES), 0);
	p.mem = mmap(NULL, SL_RING_PAGE + BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, p.memfd, 0);
	assert_ptr_not_equal(p.mem, MAP_FAILED);
	if (seals)
		assert_int_equal(fcntl(p.memfd, F_ADD_SEALS, seals), 0);
	p.efd = eventfd(0, EFD_NONBLOCK);
	sl_ring_format(p.mem, BYTES, instance, "by hand");
	assert_int_equal(sl_ring_open(&p.ring, p.mem, SL_RING_PAGE + BYTES), 0);
	p.sock = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", r->path);
	assert_int_equal(connect(p.sock, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return p;
}

static void peer_free(struct peer *p)
{
	munmap(p->mem, SL_RING_PAGE + BYTES);
	close(p->memfd);
	close(p->efd);
	if (p->sock >= 0)
		close(p->sock);
}

static struct sl_hello hello_of(void)
{
	struct sl_hello h = {.magic = SL_HELLO_MAGIC,
			     .version = SL_HELLO_VERSION,
			     .mem_bytes = SL_RING_PAGE + BYTES};

	memcpy(h.instance, instance, 16);
	return h;
}

static void say(const struct peer *p, const void *data, size_t len, const int *fds, unsigned cnt)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * 16)];
		struct cmsghdr align;
	} ctl = {.buf = {0}};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (cnt) {
		m.msg_control = ctl.buf;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * cnt);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * cnt);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * cnt);
	}
	assert_int_equal(sendmsg(p->sock, &m, MSG_NOSIGNAL), len);
}

/* The status of the answer; -1: the connection ends without one. */
static int answer(const struct peer *p)
{
	struct sl_welcome w;
	struct timeval tv = {.tv_sec = 20};

	setsockopt(p->sock, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	ssize_t n = recv(p->sock, &w, sizeof(w), 0);
	assert_true(n == 0 || n == (ssize_t)sizeof(w));
	if (n == 0)
		return -1;
	assert_int_equal(w.magic, SL_HELLO_MAGIC);
	return (int)w.status;
}

static int greet(const struct peer *p)
{
	struct sl_hello h = hello_of();
	const int fds[] = {p->memfd, p->efd};

	say(p, &h, sizeof(h), fds, 2);
	return answer(p);
}

static void wake(const struct peer *p)
{
	assert_int_equal(eventfd_write(p->efd, 1), 0);
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* One connection for each thing that is wrong; nothing is left open afterwards. */
static void strange_hellos(SL_UNUSED void **st)
{
	enum {
		SILENT,
		SHORT,
		LONG,
		MAGIC,
		VERSION,
		NO_FDS,
		ONE_FD,
		MANY_FDS,
		FILES,
		SWAPPED,
		CASES
	};
	static const int want[CASES] = {
		[SILENT] = -1,
		[SHORT] = SL_WELCOME_VERSION,
		[LONG] = SL_WELCOME_VERSION,
		[MAGIC] = SL_WELCOME_VERSION,
		[VERSION] = SL_WELCOME_VERSION,
		[NO_FDS] = SL_WELCOME_MEMORY,
		[ONE_FD] = SL_WELCOME_MEMORY,
		[MANY_FDS] = SL_WELCOME_MEMORY,
		[FILES] = SL_WELCOME_MEMORY,
		[SWAPPED] = SL_WELCOME_MEMORY,
	};
	struct rig r;

	rig_init(&r);
	rig_rule(&r, "#", "t", "");
	rig_start(&r);
	int before = open_fds();
	for (int i = 0; i < CASES; i++) {
		struct peer p = peer_new(&r, SEALS);
		struct sl_hello h[2] = {hello_of(), hello_of()};
		int fds[16], null = open("/dev/null", O_RDWR);
		for (int k = 0; k < 16; k++)
			fds[k] = k ? p.efd : p.memfd;
		h->magic += i == MAGIC;
		h->version += i == VERSION;
		switch (i) {
		case SILENT:
			shutdown(p.sock, SHUT_WR);
			break;
		case SHORT:
			say(&p, h, sizeof(*h) - 1, fds, 2);
			break;
		case LONG:
			say(&p, h, sizeof(h), fds, 2);
			break;
		case NO_FDS:
			say(&p, h, sizeof(*h), fds, 0);
			break;
		case ONE_FD:
			say(&p, h, sizeof(*h), fds, 1);
			break;
		case MANY_FDS:
			say(&p, h, sizeof(*h), fds, 16);
			break;
		case FILES:
			fds[0] = null;
			say(&p, h, sizeof(*h), fds, 2);
			break;
		case SWAPPED:
			say(&p, h, sizeof(*h), (int[]){p.efd, p.memfd}, 2);
			break;
		default:
			say(&p, h, sizeof(*h), fds, 2);
			break;
		}
		assert_int_equal(answer(&p), want[i]);
		close(null);
		peer_free(&p);
	}
	rig_until(&r, open_fds() == before);
	rig_fini(&r);
}

static void strange_memory(SL_UNUSED void **st)
{
	struct rig r;
	struct sl_hello h;

	rig_init(&r);
	rig_rule(&r, "#", "t", "");
	rig_start(&r);
	int before = open_fds();
	struct peer p = peer_new(&r, 0); /* could be cut: SIGBUS */
	assert_int_equal(greet(&p), SL_WELCOME_MEMORY);
	peer_free(&p);
	p = peer_new(&r, SEALS); /* another size than it says */
	h = hello_of();
	h.mem_bytes *= 2;
	say(&p, &h, sizeof(h), (int[]){p.memfd, p.efd}, 2);
	assert_int_equal(answer(&p), SL_WELCOME_MEMORY);
	peer_free(&p);
	p = peer_new(&r, SEALS); /* another instance than it says */
	h = hello_of();
	h.instance[3]++;
	say(&p, &h, sizeof(h), (int[]){p.memfd, p.efd}, 2);
	assert_int_equal(answer(&p), SL_WELCOME_MEMORY);
	peer_free(&p);
	p = peer_new(&r, SEALS);
	p.ring.hdr->head = 4;
	assert_int_equal(greet(&p), SL_WELCOME_MEMORY);
	peer_free(&p);
	p = peer_new(&r, SEALS);
	assert_int_equal(greet(&p), SL_WELCOME);
	struct peer q = peer_new(&r, SEALS); /* the same ring a second time */
	assert_int_equal(greet(&q), SL_WELCOME_BUSY);
	peer_free(&q);
	peer_free(&p);
	rig_until(&r, open_fds() == before);
	rig_fini(&r);
}

/* Good frames, then nonsense: what was good is stored, the ring is let go, others go on. */
static void broken_ring(SL_UNUSED void **st)
{
	struct rig r;
	struct sl_ring_msg m = rig_msg(1, "a", "good");
	uint64_t id;

	rig_init(&r);
	rig_rule(&r, "#", "t", "");
	rig_start(&r);
	rig_attach(&r, 5000);
	struct peer p = peer_new(&r, SEALS);
	assert_int_equal(greet(&p), SL_WELCOME);
	assert_int_equal(sl_ring_put(&p.ring, &m, &id), 0);
	assert_int_equal(sl_ring_put(&p.ring, &m, &id), 0);
	atomic_store(&p.ring.hdr->head, UINT64_MAX - 7);
	wake(&p);
	assert_int_equal(answer(&p), -1);
	peer_free(&p);
	assert_int_equal(rig_hand(&r, 1, "a", "other"), SL_PLINK_DONE);

	p = peer_new(&r, SEALS);
	assert_int_equal(greet(&p), SL_WELCOME);
	assert_int_equal(sl_ring_put(&p.ring, &m, &id), 0);
	uint64_t at = p.ring.pos;
	assert_int_equal(sl_ring_put(&p.ring, &m, &id), 0);
	memset(p.ring.data + at, 0xff, 64);
	wake(&p);
	assert_int_equal(answer(&p), -1);
	rig_until(&r, rig_records(&r, "t") == 2);
	assert_int_equal(rig_hand(&r, 1, "a", "other"), SL_PLINK_DONE);
	peer_free(&p);
	rig_fini(&r);
}

/* It closes its connection, and goes on writing: only what was there then is read. */
static void gone_and_writing(SL_UNUSED void **st)
{
	struct rig r;
	struct sl_ring_msg m = rig_msg(0, "a", "x");
	struct sl_mqtt_stats stats;
	uint64_t id;

	rig_init(&r);
	rig_rule(&r, "#", "t", "");
	rig_start(&r);
	struct peer p = peer_new(&r, SEALS);
	assert_int_equal(greet(&p), SL_WELCOME);
	close(p.sock);
	p.sock = -1;
	rig_until(&r, (sl_ring_put(&p.ring, &m, &id) < 0 ? wake(&p) : (void)0, wake(&p),
		       memset(&stats, 0, sizeof(stats)), sl_intake_stats(r.in, &stats),
		       stats.brokers == 0));
	peer_free(&p);
	rig_fini(&r);
}

/* ---- after a kill -9 ------------------------------------------------------------------------- */

/* A batch of `cnt` records with a ring's mark, appended. */
static void append_marked(struct rig *r, int64_t pid, uint32_t seq, int cnt)
{
	static uint8_t buf[4096];
	struct sl_bb b;

	sl_bb_init(&b, buf, sizeof(buf));
	for (int i = 0; i < cnt; i++)
		assert_true(sl_bb_add(&b, 1700000000000, (struct sl_slice){NULL, 0},
				      rig_text("old"), NULL, 0));
	uint32_t len = sl_bb_close_as(&b, pid, 0, (int32_t)seq);
	fake_store_put(rig_part(r, "t", 0), buf, len, cnt);
}

/*
 * Six frames: 1 and 2 in a batch that is in the log, 3 in one that is not, 4 in another that is,
 * 5 noted at a partition that does not exist, 6 never taken.
 */
static void take_over(struct rig *r, struct peer *p, int64_t pid, bool mark)
{
	static const struct {
		uint32_t seq;
		int32_t partition;
	} note[] = {{7, 0}, {7, 0}, {8, 0}, {9, 0}, {7, 99}};
	struct sl_ring_msg m = rig_msg(1, "a", "new"), got;
	struct sl_ring view = p->ring;
	struct sl_ring_ref ref;
	uint64_t id;

	for (int i = 0; i < 6; i++)
		assert_int_equal(sl_ring_put(&p->ring, &m, &id), 0);
	for (int i = 0; i < 5; i++) {
		struct sl_ring_taken t = {.partition = note[i].partition,
					  .sequence = note[i].seq,
					  .end_before = i < 4 ? 1 : INT64_MIN};
		struct sl_topic *topic = sl_store_topic_find(r->store, "t", 1);
		memcpy(t.topic_id, sl_topic_id(topic), 16);
		sl_topic_put(topic);
		assert_int_equal(sl_ring_peek(&view, &got, &ref), 1);
		sl_ring_take(&view, &ref, &t);
	}
	append_marked(r, -1, UINT32_MAX, 1); /* others' */
	append_marked(r, pid, 7, 2);
	append_marked(r, pid + 1, 8, 1); /* another ring's */
	append_marked(r, pid, 9, 1);
	struct sl_ring_hdr *h = p->ring.hdr;
	atomic_store(&h->producer_id, pid);
	atomic_store(&h->sequence, 10);
	if (mark)
		atomic_store(&h->producer_mark,
			     sl_in_plugin_mark(sl_store_cluster_id(r->store), instance, pid));
}

static void killed(SL_UNUSED void **st)
{
	for (int mark = 0; mark < 2; mark++) {
		struct rig r;
		rig_init(&r);
		rig_rule(&r, "#", "t", "");
		assert_int_equal(sl_store_topic_create(r.store, "t", 1, NULL, NULL), 0);
		rig_start(&r);
		struct peer p = peer_new(&r, SEALS);
		take_over(&r, &p, 4711, mark);
		/* its figures so far, of which some were counted */
		atomic_store(&p.ring.hdr->lost_qos0, 10);
		atomic_store(&p.ring.hdr->counted[0], 4);
		assert_int_equal(greet(&p), SL_WELCOME);
		rig_until(&r, atomic_load(&p.ring.hdr->answered) == 6);
		assert_int_equal(rig_row(&r, SL_BR_MQTT_DUPLICATE), mark ? 3 : 0);
		assert_int_equal(rig_row(&r, SL_BR_MQTT_STORED), mark ? 3 : 6);
		assert_int_equal(rig_records(&r, "t"), 5 + (mark ? 3 : 6));
		rig_until(&r, rig_row(&r, SL_BR_MQTT_LOST_QOS0) == 6);
		/* the ring's own id goes on; without the mark it gets another */
		if (mark)
			assert_int_equal(atomic_load(&p.ring.hdr->producer_id), 4711);
		else
			assert_int_not_equal(atomic_load(&p.ring.hdr->producer_id), 4711);
		rig_books_close(&r);
		rig_stop(&r);
		peer_free(&p);
		rig_fini(&r);
	}
}

/* Every batch of a ring bears its mark, and no sequence comes twice. */
static void marks(SL_UNUSED void **st)
{
	struct rig r;
	uint8_t *buf = malloc(1 << 20);
	int32_t last = -1;

	rig_init(&r);
	rig_rule(&r, "#", "t", "");
	rig_start(&r);
	rig_attach(&r, 5000);
	for (int i = 0; i < 300; i++)
		assert_int_not_equal(rig_hand(&r, i % 7 ? 0 : 1, "a", "x"), SL_PLINK_REFUSED);
	assert_int_equal(rig_hand(&r, 1, "a", "x"), SL_PLINK_DONE);
	struct sl_read rd = {
		.max_bytes = 1 << 20, .buf = buf, .cap = 1 << 20, .max_offset = INT64_MAX};
	assert_int_equal(sl_store_read(rig_part(&r, "t", 0), &rd), 0);
	for (uint32_t at = 0; at < rd.len; at += sl_batch_total(buf + at)) {
		assert_int_equal(sl_batch_pid(buf + at),
				 atomic_load(&r.link.ring.hdr->producer_id));
		assert_int_equal(sl_batch_pepoch(buf + at), 0);
		assert_true(sl_batch_base_seq(buf + at) > last);
		last = sl_batch_base_seq(buf + at);
	}
	assert_int_equal(last + 1, atomic_load(&r.link.ring.hdr->sequence));
	free(buf);
	rig_fini(&r);
}

static void templates(SL_UNUSED void **st)
{
	static const struct {
		const char *rule, *topic;
		bool could;
	} cases[] = {
		{"a", "a", true},
		{"a", "b", false},
		{"{x}", "a", true},
		{"{x}", "", false},
		{"p-{x}", "p-", false},
		{"p-{x}", "p-1", true},
		{"p-{x}", "q-1", false},
		{"{x}-s", "a-s", true},
		{"{x}-s", "a-s-s", true},
		{"{x}-s", "-s", false},
		{"{a}-{b}", "x-y", true},
		{"{a}-{b}", "x-", false},
		{"{a}{b}", "x", false},
		{"{a}{b}", "xy", true},
		{"a{x}b{y}c", "a1b2c", true},
		{"a{x}b{y}c", "a1b2", false},
		{"a{x}b{y}c", "abbbc", true},
		{"{x", "a", false},
	};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(cases); i++)
		assert_int_equal(sl_in_topic_could_be(cases[i].rule, cases[i].topic),
				 cases[i].could);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strange_hellos), cmocka_unit_test(strange_memory),
		cmocka_unit_test(broken_ring),    cmocka_unit_test(gone_and_writing),
		cmocka_unit_test(killed),         cmocka_unit_test(marks),
		cmocka_unit_test(templates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "pcap_scan.h"

struct file { /* bytes of a capture under construction */
	uint8_t b[65536];
	size_t n;
	bool big; /* byte order */
};

static void put32(struct file *f, uint32_t v)
{
	sl_put_be32(f->b + f->n, f->big ? v : __builtin_bswap32(v));
	f->n += 4;
}

static void put16(struct file *f, uint16_t v)
{
	sl_put_be16(f->b + f->n, f->big ? v : __builtin_bswap16(v));
	f->n += 2;
}

static void put_bytes(struct file *f, size_t n)
{
	memset(f->b + f->n, 0xaa, n);
	f->n += n;
}

static int scan(const struct file *f, struct sl_pcap_info *info, char *err)
{
	int fd = memfd_create("capture", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, f->b, f->n), (ssize_t)f->n);
	memset(info, 0, sizeof(*info));
	err[0] = 0;
	int rc = sl_pcap_scan(fd, info, err, 128);
	close(fd);
	if (rc)
		assert_true(strlen(err) > 5);
	return rc;
}

static void classic_head(struct file *f, uint32_t magic, bool big, uint32_t link)
{
	memset(f, 0, sizeof(*f));
	f->big = big;
	put32(f, magic);
	put16(f, 2);
	put16(f, 4);
	put32(f, 0);
	put32(f, 0);
	put32(f, 65535);
	put32(f, link);
}

static void classic_frame(struct file *f, uint32_t len)
{
	put32(f, 1);
	put32(f, 2);
	put32(f, len);
	put32(f, len);
	put_bytes(f, SL_MIN(len, 2000u));
}

static void classic(void **state)
{
	static const uint32_t magic[] = {0xa1b2c3d4, 0xa1b23c4d};
	struct sl_pcap_info info;
	struct file f;
	char err[128];

	(void)state;
	for (int i = 0; i < 4; i++) {
		classic_head(&f, magic[i & 1], i & 2, 1);
		assert_int_equal(scan(&f, &info, err), 0);
		assert_int_equal(info.frames, 0);
		for (uint32_t k = 0; k < 20; k++)
			classic_frame(&f, 60 + k);
		assert_int_equal(scan(&f, &info, err), 0);
		assert_int_equal(info.frames, 20);
		assert_int_equal(info.frame_max, 79);
		assert_false(info.cut);
		for (size_t less = 1; less < 79 + 16; less++) { /* cut anywhere in the last one */
			struct file g = f;
			g.n -= less;
			assert_int_equal(scan(&g, &info, err), 0);
			assert_int_equal(info.frames, 19);
			assert_true(info.cut);
		}
	}
}

static void refused(void **state)
{
	struct sl_pcap_info info;
	struct file f;
	char err[128];

	(void)state;
	memset(&f, 0, sizeof(f));
	assert_int_equal(scan(&f, &info, err), -EPROTO);
	memcpy(f.b, "hello world, this is no capture", 31);
	f.n = 31;
	assert_int_equal(scan(&f, &info, err), -EPROTO);
	classic_head(&f, 0xa1b2c3d4, false, 113); /* Linux cooked */
	assert_int_equal(scan(&f, &info, err), -EPROTO);
	classic_head(&f, 0xa1b2c3d4, false, 1);
	classic_frame(&f, SL_PCAP_FRAME_MAX + 1);
	assert_int_equal(scan(&f, &info, err), -EILSEQ);
	f.n = 10;
	assert_int_equal(scan(&f, &info, err), -EILSEQ);
	int fd = open("/dev/null", O_RDONLY);
	assert_int_equal(sl_pcap_scan(fd, &info, err, sizeof(err)), -EPROTO);
	close(fd);
	fd = memfd_create("large", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)SL_PCAP_FILE_MAX + 1), 0);
	assert_int_equal(sl_pcap_scan(fd, &info, err, sizeof(err)), -EFBIG);
	close(fd);
}

static void ng_section(struct file *f, bool big)
{
	f->big = big;
	put32(f, 0x0a0d0d0a);
	put32(f, 28);
	put32(f, 0x1a2b3c4d);
	put16(f, 1);
	put16(f, 0);
	put32(f, 0xffffffff);
	put32(f, 0xffffffff);
	put32(f, 28);
}

static void ng_interface(struct file *f, uint16_t link, uint32_t snaplen)
{
	put32(f, 1);
	put32(f, 20);
	put16(f, link);
	put16(f, 0);
	put32(f, snaplen);
	put32(f, 20);
}

static void ng_packet(struct file *f, uint32_t caplen, uint32_t room)
{
	put32(f, 6);
	put32(f, 32 + room);
	put32(f, 0);
	put32(f, 0);
	put32(f, 0);
	put32(f, caplen);
	put32(f, caplen);
	put_bytes(f, room);
	put32(f, 32 + room);
}

static void ng_simple(struct file *f, uint32_t len, uint32_t room)
{
	put32(f, 3);
	put32(f, 16 + room);
	put32(f, len);
	put_bytes(f, room);
	put32(f, 16 + room);
}

static void next_generation(void **state)
{
	struct sl_pcap_info info;
	struct file f;
	char err[128];

	(void)state;
	memset(&f, 0, sizeof(f));
	for (int i = 0; i < 2; i++) { /* two sections, one in each byte order */
		ng_section(&f, i);
		ng_interface(&f, 1, 100);
		ng_packet(&f, 60, 60);
		put32(&f, 5); /* statistics: skipped */
		put32(&f, 12);
		put32(&f, 12);
		ng_packet(&f, 61, 64);
		ng_simple(&f, 1500, 100); /* as long as the snap length says */
	}
	assert_int_equal(scan(&f, &info, err), 0);
	assert_int_equal(info.frames, 6);
	assert_int_equal(info.frame_max, 100);
	f.n -= 10;
	assert_int_equal(scan(&f, &info, err), 0);
	assert_true(info.cut);
	assert_int_equal(info.frames, 5);

	f.n = 0;
	ng_section(&f, false);
	ng_interface(&f, 113, 0);
	assert_int_equal(scan(&f, &info, err), -EPROTO);
	f.n = 0;
	ng_section(&f, false);
	ng_interface(&f, 1, 0);
	ng_packet(&f, 100, 60); /* claims more than its block holds */
	assert_int_equal(scan(&f, &info, err), -EILSEQ);
	f.n = 0;
	ng_section(&f, false);
	put32(&f, 6);
	put32(&f, 8); /* a block that would never end */
	assert_int_equal(scan(&f, &info, err), -EILSEQ);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classic),
		cmocka_unit_test(refused),
		cmocka_unit_test(next_generation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

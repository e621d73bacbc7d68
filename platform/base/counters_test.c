/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/counters_layout.h"
#include "platform/base/murmur2.h"
#include "platform/base/sl_test.h"

static char dir[64], path[96], bad[104];

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/slt-counters-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/counters", dir);
	snprintf(bad, sizeof(bad), "%s.bad", path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	unlink(bad);
	return rmdir(dir); /* fails if a temporary file was left */
}

static struct sl_counters *open_ok(bool want_reset)
{
	struct sl_counters *c = NULL;
	bool reset = !want_reset;

	assert_int_equal(sl_counters_open(path, &c, &reset), 0);
	assert_non_null(c);
	assert_int_equal(reset, want_reset);
	return c;
}

static void write_raw(const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), n);
	close(fd);
}

static void keeps_figures(void **state)
{
	struct sl_counters *c = open_ok(false);
	struct stat st;

	(void)state;
	assert_int_equal(c->global.starts, 0);
	sl_ctr_add(&c->lcore[3].frame[SL_FR_BAD_IP_HEADER], 7);
	sl_ctr_set(&c->writer[31].failed[SL_ORIGIN_MQTT][SL_APPEND_SHUTDOWN], 9);
	sl_ctr_add(&c->port[31].wire, 1);
	assert_int_equal(sl_counters_checkpoint(c), 0);
	sl_counters_close(c);
	c = open_ok(false);
	assert_int_equal(sl_ctr_get(&c->lcore[3].frame[SL_FR_BAD_IP_HEADER]), 7);
	assert_int_equal(c->writer[31].failed[SL_ORIGIN_MQTT][SL_APPEND_SHUTDOWN], 9);
	assert_int_equal(c->port[31].wire, 1);
	sl_counters_close(c);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, sizeof(struct sl_counters));
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(sl_counters_open(path, &c, NULL), 0); /* ret_reset may be NULL */
	sl_counters_close(c);
	sl_counters_close(NULL);
}

static void refuses_newer(void **state)
{
	struct sl_counters *c = open_ok(false), *none = NULL;
	bool reset = false;

	(void)state;
	((struct sl_ctr_header *)c->header)->version = SL_CTR_VERSION + 1;
	c->lcore[0].rx = 5;
	sl_counters_close(c);
	assert_int_equal(sl_counters_open(path, &none, &reset), -EPROTO);
	assert_null(none);
	assert_false(reset);
	assert_int_equal(access(bad, F_OK), -1);
}

static void sets_foreign_files_aside(void **state)
{
	struct sl_counters *c = open_ok(false);
	struct sl_counters *copy = malloc(sizeof(*copy));
	struct sl_ctr_header *h = (struct sl_ctr_header *)copy->header;

	(void)state;
	assert_non_null(copy);
	sl_counters_close(c);
	for (int kind = 0; kind < 5; kind++) {
		memset(copy, 0, sizeof(*copy));
		sl_ctr_header_make(h);
		size_t n = sizeof(*copy);
		switch (kind) {
		case 0:
			n = 0;
			break;
		case 1:
			memset(copy, 0, sizeof(*copy)); /* a power cut's zeros */
			break;
		case 2:
			n -= 64;
			break;
		case 3:
			h->name[0][0] ^= 1; /* hash */
			break;
		default:
			memset(copy, 'x', sizeof(*copy));
		}
		write_raw(copy, n);
		c = open_ok(true);
		assert_int_equal(c->lcore[0].rx, 0);
		sl_counters_close(c);
		assert_int_equal(access(bad, F_OK), 0);
		unlink(bad);
		sl_counters_close(open_ok(false));
	}
	free(copy);
}

static void reports_other_errors(void **state)
{
	struct sl_counters *c = NULL;

	(void)state;
	assert_int_equal(sl_counters_open("/nonexistent/counters", &c, NULL), -ENOENT);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(sl_counters_open(path, &c, NULL), -ELOOP);
	assert_null(c);
	sl_counters_close(NULL);
}

/* ---- other layouts ----------------------------------------------------------------------- */

/* Fields in another order, unknown and missing rows, other numbers of lines. */
static const char *const names[SL_CS_CNT][8] = {
	{"starts", "lost_at_crash"},
	{"in_open", "refused/from_the_future", "accepted/accepted", "note/from_the_future", "rx"},
	{"intent_seq", "failed/mqtt/struck_by_lightning", "failed/mqtt/io_error", "appended/ingest",
	 "appended/from_the_future"},
	{"wire"},
	{"never_heard_of", "mqtt_stored"},
};
static const uint32_t lines[SL_CS_CNT] = {1, SL_CTR_LCORES + 2, 1, 2, 2};

#define OTHER_BYTES 32768

static struct sl_ctr_desc *desc(void *header, int section)
{
	struct sl_ctr_header *h = header;

	return section < SL_CS_FIRST ? &h->first[section] : &h->more[section - SL_CS_FIRST];
}

static uint64_t *cell(uint8_t *file, int section, uint32_t line, uint32_t field)
{
	struct sl_ctr_desc *d = desc(file, section);

	return (uint64_t *)(void *)(file + d->off + (size_t)line * d->stride + 8u * field);
}

static uint8_t *other_layout(void)
{
	uint8_t *file = calloc(1, OTHER_BYTES);
	struct sl_ctr_header *h = (struct sl_ctr_header *)file;
	uint32_t off = 4096;

	assert_non_null(file);
	memcpy(h->magic, SL_CTR_MAGIC, 8);
	h->version = SL_CTR_VERSION;
	h->file_bytes = OTHER_BYTES;
	for (int s = 0; s < SL_CS_CNT; s++) {
		uint32_t n = 0;

		while (n < 8 && names[s][n])
			snprintf(h->name[h->field_cnt++], SL_CTR_NAME, "%s", names[s][n++]);
		*desc(h, s) = (struct sl_ctr_desc){
			.off = off, .stride = 64, .cnt = lines[s], .fields = n};
		off += 64 * lines[s];
	}
	h->hash = sl_murmur2(h, sizeof(*h));
	return file;
}

static void takes_over_other_layouts(void **state)
{
	uint8_t *file = other_layout();

	(void)state;
	*cell(file, SL_CS_GLOBAL, 0, 0) = 11;
	*cell(file, SL_CS_GLOBAL, 0, 1) = 12;
	*cell(file, SL_CS_BRIDGE, 1, 0) = 5;
	*cell(file, SL_CS_BRIDGE, 1, 1) = 6;
	*cell(file, SL_CS_LCORE, 1, 1) = 3;  /* unknown frame row */
	*cell(file, SL_CS_LCORE, 1, 2) = 40; /* accepted */
	*cell(file, SL_CS_LCORE, 1, 3) = 99; /* unknown note */
	*cell(file, SL_CS_LCORE, 1, 4) = 43; /* rx */
	for (uint32_t i = SL_CTR_LCORES - 1; i < lines[SL_CS_LCORE]; i++)
		*cell(file, SL_CS_LCORE, i, 4) = 100; /* rx of the last lines */
	*cell(file, SL_CS_WRITER, 0, 0) = 8;
	*cell(file, SL_CS_WRITER, 0, 1) = 5;
	*cell(file, SL_CS_WRITER, 0, 2) = 6;
	*cell(file, SL_CS_WRITER, 0, 3) = 77;
	*cell(file, SL_CS_PORT, 1, 0) = 1234;
	write_raw(file, OTHER_BYTES);
	free(file);

	struct sl_counters *c = open_ok(false);
	assert_int_equal(c->global.starts, 11);
	assert_int_equal(c->global.lost_at_crash, 12);
	assert_int_equal(c->lcore[1].frame[SL_FR_OTHER], 3);
	assert_int_equal(c->lcore[1].frame[SL_FR_ACCEPTED], 40);
	assert_int_equal(c->lcore[1].rx, 43);
	assert_int_equal(sl_counters_lcore_rx_fix(&c->lcore[1]), 0);
	assert_int_equal(c->lcore[SL_CTR_LCORES - 1].rx, 300);
	assert_int_equal(c->writer[0].intent_seq, 8);
	assert_int_equal(c->writer[0].failed[SL_ORIGIN_MQTT][SL_APPEND_IO_ERROR], 11);
	assert_int_equal(c->writer[0].appended[SL_ORIGIN_INGEST], 77);
	assert_int_equal(c->port[1].wire, 1234);
	assert_int_equal(c->bridge[1].row[SL_BR_MQTT_STORED], 6);
	sl_counters_close(c);
	sl_counters_close(open_ok(false)); /* now it is this version's */
}

/* A header that points out of its file, or counts wrongly, must not be followed. */
static void hostile_headers(void **state)
{
	(void)state;
	for (int kind = 0; kind < 6; kind++) {
		uint8_t *file = other_layout();
		struct sl_ctr_header *h = (struct sl_ctr_header *)file;

		switch (kind) {
		case 0:
			desc(h, SL_CS_LCORE)->off = OTHER_BYTES - 8;
			break;
		case 1:
			desc(h, SL_CS_LCORE)->cnt = UINT32_MAX;
			break;
		case 2:
			desc(h, SL_CS_PORT)->fields = 9; /* beyond the stride */
			break;
		case 3:
			h->field_cnt = SL_CTR_FIELDS + 1;
			break;
		case 4:
			desc(h, SL_CS_PORT)->off = 4097;
			break;
		default:
			h->field_cnt--;
		}
		h->hash = 0;
		h->hash = sl_murmur2(h, sizeof(*h));
		assert_int_equal(sl_ctr_header_check(h, OTHER_BYTES), -EILSEQ);
		free(file);
	}
}

/* ---- rows -------------------------------------------------------------------------------- */

static void every_row_has_a_name(void **state)
{
	(void)state;
	for (int r = 0; r < SL_FRAME_ROW_CNT; r++) {
		assert_non_null(sl_frame_row_name((enum sl_frame_row)r));
		assert_non_null(sl_frame_group_name(sl_frame_row_group((enum sl_frame_row)r)));
	}
	for (int r = 0; r < SL_NOTE_ROW_CNT; r++)
		assert_non_null(sl_note_row_name((enum sl_note_row)r));
	for (int r = 0; r < SL_APPEND_REASON_CNT; r++)
		assert_non_null(sl_append_reason_name((enum sl_append_reason)r));
	for (int r = 0; r < SL_BRIDGE_ROW_CNT; r++)
		assert_non_null(sl_bridge_row_name((enum sl_bridge_row)r));
	for (int r = 0; r < SL_ORIGIN_CNT; r++)
		assert_non_null(sl_origin_name((enum sl_origin)r));
	assert_string_equal(sl_frame_row_name(SL_FR_BAD_TRUNCATED), "truncated");
	assert_int_equal(sl_frame_row_group(SL_FR_BAD_TRUNCATED), SL_FG_BAD);
	assert_string_equal(sl_frame_group_name(SL_FG_RING_FULL), "ring_full");
	assert_string_equal(sl_append_reason_name(SL_APPEND_DISK_FULL), "disk_full");
}

/* The header's names stand where the structs have the field. */
static void names_match_the_structs(void **state)
{
	static const struct {
		int section;
		const char *name;
		size_t off;
	} at[] = {
		{SL_CS_GLOBAL, "starts", offsetof(struct sl_ctr_global, starts)},
		{SL_CS_LCORE, "bad/udp_port",
		 offsetof(struct sl_ctr_lcore, frame[SL_FR_BAD_UDP_PORT])},
		{SL_CS_LCORE, "note/batches", offsetof(struct sl_ctr_lcore, note[SL_NR_BATCHES])},
		{SL_CS_LCORE, "handed", offsetof(struct sl_ctr_lcore, handed)},
		{SL_CS_WRITER, "appended_bytes/kafka",
		 offsetof(struct sl_ctr_writer, appended_bytes[SL_ORIGIN_KAFKA])},
		{SL_CS_WRITER, "failed/kafka/too_large",
		 offsetof(struct sl_ctr_writer, failed[SL_ORIGIN_KAFKA][SL_APPEND_TOO_LARGE])},
		{SL_CS_WRITER, "intent_part", offsetof(struct sl_ctr_writer, intent_part)},
		{SL_CS_PORT, "lost_by_device", offsetof(struct sl_ctr_port, lost_by_device)},
		{SL_CS_BRIDGE, "mirrored", offsetof(struct sl_ctr_bridge, row[SL_BR_MIRRORED])},
	};
	struct sl_ctr_header h;

	(void)state;
	sl_ctr_header_make(&h);
	for (size_t i = 0; i < SL_ARRAY_SIZE(at); i++) {
		uint32_t n = (uint32_t)(at[i].off / 8);

		for (int s = 0; s < at[i].section; s++)
			n += sl_ctr_desc(&h, s)->fields;
		assert_string_equal(h.name[n], at[i].name);
	}
}

static void rx_becomes_the_sum(void **state)
{
	struct sl_counters *c = NULL;

	(void)state;
	assert_int_equal(sl_counters_anon(&c), 0);
	c->lcore[0].rx = 10;
	c->lcore[0].frame[SL_FR_OTHER] = 4;
	c->lcore[0].frame[SL_FR_ACCEPTED] = 9;
	assert_int_equal(sl_counters_lcore_rx_fix(&c->lcore[0]), 3);
	assert_int_equal(c->lcore[0].rx, 13);
	assert_int_equal(sl_counters_lcore_rx_fix(&c->lcore[0]), 0);
	assert_int_equal(sl_counters_checkpoint(c), 0);
	sl_counters_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keeps_figures, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_newer, setup, teardown),
		cmocka_unit_test_setup_teardown(sets_foreign_files_aside, setup, teardown),
		cmocka_unit_test_setup_teardown(reports_other_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(takes_over_other_layouts, setup, teardown),
		cmocka_unit_test(hostile_headers),
		cmocka_unit_test(every_row_has_a_name),
		cmocka_unit_test(names_match_the_structs),
		cmocka_unit_test(rx_becomes_the_sum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

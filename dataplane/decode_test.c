/* SPDX-License-Identifier: Apache-2.0 */
#include "decode.h"

#include "platform/base/sl_test.h"

#define ALL (SL_HDR_FACILITY | SL_HDR_SEVERITY | SL_HDR_HOST | SL_HDR_APP | SL_HDR_TIME)

/* On a copy of exactly that size; slices of the answer are moved to the original. */
static enum sl_frame_row run(enum sl_protocol proto, const char *s, size_t len, uint32_t wanted,
			     struct sl_decoded *d)
{
	uint8_t *b = calloc(1, len + !len);

	memcpy(b, s, len);
	enum sl_frame_row row =
		sl_decoder_for(proto)->decode((struct sl_slice){b, (uint32_t)len}, wanted, d);
	assert_true(d->hdr_cnt <= SL_DECODE_HDRS_MAX);
	for (uint32_t i = 0; i < d->hdr_cnt; i++) {
		struct sl_slice *v = &d->hdr[i].value;
		assert_non_null(v->p);
		if (v->p >= b && v->p <= b + len) {
			assert_true(v->p + v->len <= b + len);
			v->p = (const uint8_t *)s + (v->p - b);
		}
	}
	if (d->host.p) {
		assert_true(d->host.p >= b && d->host.p + d->host.len <= b + len);
		d->host.p = (const uint8_t *)s + (d->host.p - b);
	}
	free(b);
	return row;
}

static const char *header(const struct sl_decoded *d, const char *name, char *buf)
{
	for (uint32_t i = 0; i < d->hdr_cnt; i++)
		if (d->hdr[i].name.len == strlen(name) &&
		    !memcmp(d->hdr[i].name.p, name, strlen(name))) {
			memcpy(buf, d->hdr[i].value.p, d->hdr[i].value.len);
			buf[d->hdr[i].value.len] = 0;
			return buf;
		}
	return "(none)";
}

static void raw(SL_UNUSED void **st)
{
	struct sl_decoded d;

	assert_int_equal(run(SL_PROTO_RAW, "", 0, ALL, &d), SL_FR_ACCEPTED);
	assert_int_equal(d.hdr_cnt, 0);
	assert_null(d.host.p);
	assert_int_equal(d.notes, 0);
	assert_int_equal(run(SL_PROTO_RAW, "\0\xff", 2, ALL, &d), SL_FR_ACCEPTED);
	assert_int_equal(d.notes, 0);
	assert_null(sl_decoder_for((enum sl_protocol)99));
}

#define N5424   SL_NOTE(SYSLOG_RFC5424)
#define N3164   SL_NOTE(SYSLOG_RFC3164)
#define NOPRI   SL_NOTE(SYSLOG_NO_PRI)
#define BADDATE SL_NOTE(SYSLOG_BAD_DATE)
#define BADSD   SL_NOTE(SYSLOG_BAD_SD)
#define BIN     SL_NOTE(SYSLOG_BINARY)
#define X       "(none)"

struct row {
	const char *msg;
	uint32_t notes;
	const char *facility, *severity, *host, *app, *time;
};

static const struct row rows[] = {
	/* RFC 5424 section 6.5 */
	{"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - "
	 "\xef\xbb\xbf'su root' failed for lonvick on /dev/pts/8",
	 N5424, "auth", "crit", "mymachine.example.com", "su", "2003-10-11T22:14:15.003Z"},
	{"<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time.", N5424,
	 "local4", "notice", "192.0.2.1", "myproc", "2003-08-24T05:14:15.000003-07:00"},
	{"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 "
	 "[exampleSDID@32473 iut=\"3\" eventSource=\"Application\" eventID=\"1011\"]"
	 "[examplePriority@32473 class=\"high\"]",
	 N5424, "local4", "notice", "mymachine.example.com", "evntslog",
	 "2003-10-11T22:14:15.003Z"},
	{"<0>1 - - - - - -", N5424, "kern", "emerg", X, X, X},
	{"<191>1 - h a p m -", N5424, "local7", "debug", "h", "a", X},
	{"<13>1 - h a p m [a b=\"\\\"\\]\\\\ \\x\"] msg", N5424, "user", "notice", "h", "a", X},
	{"<13>1 - h a p m [a]", N5424, "user", "notice", "h", "a", X},
	{"<13>1 - h a p m [a b=\"1\"", N5424 | BADSD, "user", "notice", "h", "a", X},
	{"<13>1 - h a p m [a b=\"]\"]", N5424 | BADSD, "user", "notice", "h", "a", X},
	{"<13>1 - h a p m [a b=1]", N5424 | BADSD, "user", "notice", "h", "a", X},
	{"<13>1 - h a p m [a ]", N5424 | BADSD, "user", "notice", "h", "a", X},
	{"<13>1 - h a p m []", N5424 | BADSD, "user", "notice", "h", "a", X},
	{"<13>1 - h a p m [a]x", N5424 | BADSD, "user", "notice", "h", "a", X},
	{"<13>1 - h a p m -x", N5424 | BADSD, "user", "notice", "h", "a", X},
	{"<13>1 - h a p m x", N5424 | BADSD, "user", "notice", "h", "a", X},
	{"<13>1 - h a p m", N5424 | BADSD, "user", "notice", "h", "a", X},
	{"<13>1 - h a p m ", N5424 | BADSD, "user", "notice", "h", "a", X},
	{"<13>1 - h", N5424 | BADSD, "user", "notice", "h", X, X},
	{"<13>1 ", N5424 | BADDATE | BADSD, "user", "notice", X, X, X},
	{"<13>1 yesterday h a p m -", N5424 | BADDATE, "user", "notice", "h", "a", X},
	{"<13>1 2003-10-11T22:14:15.003 h a p m -", N5424 | BADDATE, "user", "notice", "h", "a", X},
	{"<13>1 - h a p m - bell\x07", N5424 | BIN, "user", "notice", "h", "a", X},
	{"<13>1 - h a p m - caf\xc3\xa9", N5424, "user", "notice", "h", "a", X},
	{"<13>1 - h a p m - caf\xe9", N5424 | BIN, "user", "notice", "h", "a", X},
	/* RFC 3164 section 5.4, and real lines */
	{"<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8", N3164,
	 "auth", "crit", "mymachine", "su", "Oct 11 22:14:15"},
	{"<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!", N3164, "user", "notice", "10.0.0.99", "Use",
	 "Feb  5 17:32:18"},
	{"<30>Jun 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure", N3164, "daemon",
	 "info", "combo", "sshd(pam_unix)", "Jun 14 15:16:01"},
	{"<30>Oct 11 22:14:15 su[12]: local, without a host", N3164, "daemon", "info", X, "su",
	 "Oct 11 22:14:15"},
	{"<30>2003-08-24T05:14:15.000003-07:00 relay app: forwarded", N3164, "daemon", "info",
	 "relay", "app", "2003-08-24T05:14:15.000003-07:00"},
	{"Jun 14 15:16:01 combo sshd[1]: no PRI", N3164 | NOPRI, "user", "notice", "combo", "sshd",
	 "Jun 14 15:16:01"},
	{"<34>Oct 41 22:14:15 host tag: x", N3164 | BADDATE, "auth", "crit", X, X, X},
	{"<34>Oct 11 22:14:15x host tag: x", N3164 | BADDATE, "auth", "crit", X, X, X},
	{"<34>Oct 11 22:14:15", N3164, "auth", "crit", X, X, "Oct 11 22:14:15"},
	{"<34>Oct 11 22:14:15 ", N3164, "auth", "crit", X, X, "Oct 11 22:14:15"},
	{"<34>Oct 11 22:14:15 h", N3164, "auth", "crit", "h", X, "Oct 11 22:14:15"},
	{"<34>2 - h a p m -", N3164 | BADDATE, "auth", "crit", X, X, X},
	{"Use the BFG!", N3164 | NOPRI | BADDATE, "user", "notice", X, X, X},
	{"x", N3164 | NOPRI | BADDATE, "user", "notice", X, X, X},
	/* PRI */
	{"<192>1 - h a p m -", N3164 | NOPRI | BADDATE, "user", "notice", X, X, X},
	{"<00>1 - h a p m -", N3164 | NOPRI | BADDATE, "user", "notice", X, X, X},
	{"<013>1 - h a p m -", N3164 | NOPRI | BADDATE, "user", "notice", X, X, X},
	{"<>1 - h a p m -", N3164 | NOPRI | BADDATE, "user", "notice", X, X, X},
	{"<1000>1 - h a p m -", N3164 | NOPRI | BADDATE, "user", "notice", X, X, X},
	{"<-1>1 - h a p m -", N3164 | NOPRI | BADDATE, "user", "notice", X, X, X},
	{"<13", N3164 | NOPRI | BADDATE, "user", "notice", X, X, X},
	{"<13>", N3164 | BADDATE, "user", "notice", X, X, X},
};

static void syslog_rows(SL_UNUSED void **st)
{
	char buf[300];

	for (size_t i = 0; i < SL_ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		struct sl_decoded d;
		assert_int_equal(run(SL_PROTO_SYSLOG, r->msg, strlen(r->msg), ALL, &d),
				 SL_FR_ACCEPTED);
		if (d.notes != r->notes)
			fail_msg("row %zu: notes %x, not %x: %s", i, d.notes, r->notes, r->msg);
		assert_string_equal(header(&d, "facility", buf), r->facility);
		assert_string_equal(header(&d, "severity", buf), r->severity);
		assert_string_equal(header(&d, "host", buf), r->host);
		assert_string_equal(header(&d, "app", buf), r->app);
		assert_string_equal(header(&d, "time", buf), r->time);
		/* notes and host do not depend on what is wanted */
		assert_int_equal(run(SL_PROTO_SYSLOG, r->msg, strlen(r->msg), 0, &d),
				 SL_FR_ACCEPTED);
		assert_int_equal(d.notes, r->notes);
		assert_int_equal(d.hdr_cnt, 0);
		assert_int_equal(d.host.p != NULL, strcmp(r->host, X) != 0);
	}
}

static void syslog_empty(SL_UNUSED void **st)
{
	struct sl_decoded d;

	assert_int_equal(run(SL_PROTO_SYSLOG, "", 0, ALL, &d), SL_FR_REFUSED_EMPTY);
}

static void limits(SL_UNUSED void **st)
{
	char msg[8192], buf[300];
	struct sl_decoded d;

	snprintf(msg, sizeof(msg), "<13>1 - %0255d %048d p m -", 1, 2);
	run(SL_PROTO_SYSLOG, msg, strlen(msg), ALL, &d);
	assert_int_equal(strlen(header(&d, "host", buf)), 255);
	assert_int_equal(strlen(header(&d, "app", buf)), 48);
	snprintf(msg, sizeof(msg), "<13>1 - %0256d %049d p m -", 1, 2);
	run(SL_PROTO_SYSLOG, msg, strlen(msg), ALL, &d);
	assert_null(d.host.p);
	assert_string_equal(header(&d, "app", buf), X);
	assert_int_equal(d.notes, N5424);
	for (unsigned n = 63; n <= 65; n++) {
		strcpy(msg, "<13>1 - h a p m ");
		for (unsigned i = 0; i < n; i++)
			strcat(msg, "[e@1 p=\"v\"]");
		run(SL_PROTO_SYSLOG, msg, strlen(msg), 0, &d);
		assert_int_equal(d.notes, n <= 64 ? N5424 : N5424 | BADSD);
	}
	snprintf(msg, sizeof(msg), "<13>1 - h a p m [%032d %032d=\"\"]", 1, 1);
	run(SL_PROTO_SYSLOG, msg, strlen(msg), 0, &d);
	assert_int_equal(d.notes, N5424);
	snprintf(msg, sizeof(msg), "<13>1 - h a p m [%033d]", 1);
	run(SL_PROTO_SYSLOG, msg, strlen(msg), 0, &d);
	assert_int_equal(d.notes, N5424 | BADSD);
}

static void truncations_and_spoils(SL_UNUSED void **st)
{
	struct sl_rng r = sl_rng_from(sl_test_seed());
	struct sl_decoded d;

	for (size_t i = 0; i < SL_ARRAY_SIZE(rows); i++) {
		size_t len = strlen(rows[i].msg);
		for (size_t n = 1; n < len; n++)
			assert_int_equal(run(SL_PROTO_SYSLOG, rows[i].msg, n, ALL, &d),
					 SL_FR_ACCEPTED);
		for (unsigned k = 0; k < 2000; k++) {
			char b[512];
			memcpy(b, rows[i].msg, len);
			b[sl_rng_below(&r, (uint32_t)len)] = (char)sl_rng_u64(&r);
			b[sl_rng_below(&r, (uint32_t)len)] = " <>[]\"=\\-:"[sl_rng_below(&r, 10)];
			run(SL_PROTO_SYSLOG, b, len, ALL, &d);
			assert_true(!!(d.notes & N5424) != !!(d.notes & N3164));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raw),
		cmocka_unit_test(syslog_rows),
		cmocka_unit_test(syslog_empty),
		cmocka_unit_test(limits),
		cmocka_unit_test(truncations_and_spoils),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * render.h - the daemon's status as text for people. Pure: JSON in, text out.
 *
 * What a field says is DESIGN's status shape; a field that is not there is left out, so that this
 * program reads the answers of an older or newer daemon.
 */
#ifndef SL_CLI_RENDER_H
#define SL_CLI_RENDER_H

#include <jansson.h>
#include <stdio.h>

#include "sluice/base.h"

#define SL_NUM_TEXT 32

/* The whole status. Rates are since `prev`, an earlier one, `dt_s` seconds older; if it is NULL,
 * the daemon's own, over its last seconds. */
void sl_render_status(FILE *out, const json_t *st, const json_t *prev, double dt_s);
/* The same in one line, for logs and pipes. */
void sl_render_line(FILE *out, const json_t *st, const json_t *prev, double dt_s);
/* What did not become a stored record, why, and what to do. */
void sl_render_drops(FILE *out, const json_t *st);
/* The same as owned JSON; NULL without memory. */
json_t *sl_drops_json(const json_t *st);

/* ---- parts of it ------------------------------------------------------------------------------
 */

/* MQTT in and down: its book, who is connected; nothing if there has never been any. */
void sl_render_mqtt(FILE *out, const json_t *st);

/* The uplink in a few lines; nothing if there is none. */
void sl_render_uplink(FILE *out, const json_t *st);
/* All of it, from the answer to uplink.status. */
void sl_render_uplink_full(FILE *out, json_t *up);

/* ---- helpers --------------------------------------------------------------------------------- */

int64_t sl_json_int(const json_t *obj, const char *key); /* 0 if it is not there */
const char *sl_json_str(const json_t *obj, const char *key, const char *otherwise);
const char *sl_num_text(int64_t v, char buf[SL_NUM_TEXT]);   /* "1,234,567" */
const char *sl_bytes_text(int64_t v, char buf[SL_NUM_TEXT]); /* "288.0 MiB"; below 1 KiB "17 B" */
/* "bucket[reason]", padded, and the figure; NULL: none. `inner` is a second part of the reason. */
void sl_put_row(FILE *out, const char *bucket, const char *reason, const char *inner, int64_t v);
/* Every figure of a book that is not 0, in the order of the answer; `difference` is left to the
 * verdict: "every frame accounted for", or how many `many` are not. */
void sl_put_book(FILE *out, json_t *book);
void sl_put_verdict(FILE *out, const json_t *book, const char *one, const char *many);
/* Text of a peer or a config: control bytes become '?'. */
void sl_put_text(FILE *out, const char *s);

#endif

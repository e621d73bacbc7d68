/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prom.h - a writer for Prometheus' text format 0.0.4.
 *
 *   sl_prom_family(f, "sluice_frames_total", SL_PROM_COUNTER, "Frames by what became of them.");
 *   sl_prom_u64(f, "sluice_frames_total", (struct sl_prom_label[]){{"bucket", "bad"}}, 1, n);
 *
 * The samples of a family follow its head; each family appears once. Label values may be any
 * bytes: backslash, quote and newline are escaped, what is not UTF-8 becomes '?'. Names of metrics
 * and labels are ours and checked by assertion. Any thread that owns `f`.
 */
#ifndef SL_HTTP_PROM_H
#define SL_HTTP_PROM_H

#include <stdio.h>

#include "sluice/base.h"

enum sl_prom_type { SL_PROM_COUNTER, SL_PROM_GAUGE };

struct sl_prom_label {
	const char *name;
	const char *value;
};

void sl_prom_family(FILE *f, const char *name, enum sl_prom_type type, const char *help);
void sl_prom_u64(FILE *f, const char *name, const struct sl_prom_label *labels, unsigned cnt,
		 uint64_t v);
void sl_prom_i64(FILE *f, const char *name, const struct sl_prom_label *labels, unsigned cnt,
		 int64_t v);

#endif

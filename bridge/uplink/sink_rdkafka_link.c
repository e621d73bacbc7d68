/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "platform/base/clock.h"
#include "sink_rdkafka.h"

/* ---- what goes wrong ------------------------------------------------------------------------- */

void sl_rdk_break_down(struct sl_rdk_sink *k, enum sl_sink_class class, int err, const char *text)
{
	if (k->failed_said)
		return;
	k->failed.kind = SL_SINK_FAILED;
	k->failed.class = class;
	k->failed.kafka_error = err > 0 ? err : 0;
	snprintf(k->failed.text, sizeof(k->failed.text), "%s", text);
	k->say_failed = k->failed_said = true;
	k->state = SL_RDK_BROKEN;
	atomic_store(&k->ses->broken, true);
}

void sl_rdk_must_abort(struct sl_rdk_sink *k, const char *text)
{
	if (k->failed_said || k->abort_said)
		return;
	k->failed.kind = SL_SINK_FAILED;
	k->failed.class = SL_SINK_ABORT;
	k->failed.kafka_error = 0;
	snprintf(k->failed.text, sizeof(k->failed.text), "%s", text);
	k->say_failed = k->abort_said = true;
}

void sl_rdk_set_link(struct sl_rdk_sink *k, enum sl_rdk_link l, const char *text)
{
	uint64_t now = sl_clock_mono_ns();

	if (l == SL_RDK_LINK_UP)
		k->awake_ns = now;
	if (k->link == l)
		return;
	k->link = l;
	k->probe_ns = now + SL_RDK_PROBE_MS * SL_RDK_NS_PER_MS;
	snprintf(k->link_text, sizeof(k->link_text), "%s", text);
}

void sl_rdk_survey(struct sl_rdk_sink *k)
{
	struct sl_rdk_job *j = k->surveying ? NULL : sl_rdk_job_new(sl_rdk_job_survey);

	if (j) {
		sl_rdk_job_post(k, j);
		k->surveying = true;
	}
	k->probe_ns = sl_clock_mono_ns() + SL_RDK_PROBE_MS * SL_RDK_NS_PER_MS;
}

/* Of a topic that is gone the library says nothing for as long as messages may live. */
static bool in_doubt(const struct sl_rdk_sink *k, uint64_t now)
{
	return k->out > 0 && now - k->awake_ns > SL_RDK_DOUBT_MS * SL_RDK_NS_PER_MS &&
	       now >= k->probe_ns;
}

/*
 * "All brokers are down" is also said when the last one closes a connection that was idle: then it
 * is asked first. And a link that swallows everything makes no error: silence is one.
 */
void sl_rdk_watch_link(struct sl_rdk_sink *k, bool all_down)
{
	uint64_t now = sl_clock_mono_ns();

	if (k->state == SL_RDK_BROKEN)
		return;
	if (!sl_rdk_awaiting(k))
		k->awake_ns = now;
	if (all_down && sl_rdk_awaiting(k))
		sl_rdk_set_link(k, SL_RDK_LINK_DOWN, "all brokers are down");
	else if (now - k->awake_ns > SL_RDK_SILENCE_MS * SL_RDK_NS_PER_MS)
		sl_rdk_set_link(k, SL_RDK_LINK_DOWN, "no answer");
	if (k->state < SL_RDK_IDLE)
		return;
	if (all_down || (k->link == SL_RDK_LINK_DOWN && now >= k->probe_ns && k->jobs == 0) ||
	    in_doubt(k, now))
		sl_rdk_survey(k);
}

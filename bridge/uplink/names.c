/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink.h"

const char *sl_up_state_name(enum sl_up_state s)
{
	static const char *const names[SL_UP_STATE_CNT] = {
		[SL_UP_OFF] = "off",         [SL_UP_CONNECTING] = "connecting",
		[SL_UP_RUNNING] = "running", [SL_UP_PAUSED] = "paused",
		[SL_UP_ALARM] = "alarm",
	};

	SL_ASSERT((unsigned)s < SL_UP_STATE_CNT);
	return names[s];
}

const char *sl_up_alarm_name(enum sl_up_alarm a)
{
	static const char *const names[SL_UP_ALARM_CNT] = {
		[SL_UP_ALARM_NONE] = "none",         [SL_UP_ALARM_COPY] = "copy",
		[SL_UP_ALARM_BEYOND] = "beyond",     [SL_UP_ALARM_TOKEN] = "token",
		[SL_UP_ALARM_IDENTITY] = "identity",
	};

	SL_ASSERT((unsigned)a < SL_UP_ALARM_CNT);
	return names[a];
}

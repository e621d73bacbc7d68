/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nsctl.h - one control thread per network namespace.
 *
 * Entered once, never left: a control call on a port made from outside its namespace was seen to
 * work on a bystander's interface of the same index. Every such call goes through sl_nsctl_call().
 *
 * The list of threads is the process's, because EAL and its ports are: a second list could put a
 * second thread into one namespace.
 */
#ifndef SL_DATAPLANE_NSCTL_H
#define SL_DATAPLANE_NSCTL_H

#include "sluice/base.h"

struct sl_nsctl;
struct sl_nl;
struct sl_quiet;

/*
 * The thread of the namespace /run/netns/<netns> ("" = the caller's own), made if there is none;
 * counted. -ENOENT, -EPERM, -ENOMEM, -EINVAL (a name with a slash) with a sentence in `err`.
 * Control.
 */
SL_MUST_CHECK int sl_nsctl_get(const char *netns, struct sl_nsctl **ret_ns, char *err,
			       size_t errlen);
/* Ends the thread when nobody holds it any more. Accepts NULL. Control. */
void sl_nsctl_put(struct sl_nsctl *ns);

/* Runs fn(arg) on the thread and returns its result; one at a time. Any thread but this one
 * and lcores. */
int sl_nsctl_call(struct sl_nsctl *ns, int (*fn)(void *arg), void *arg);

/* For code that runs on the thread: */
struct sl_nl *sl_nsctl_nl(struct sl_nsctl *ns);
struct sl_quiet *sl_nsctl_quiet(struct sl_nsctl *ns); /* quiet.h: the sockets held here */

#endif

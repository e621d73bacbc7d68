/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - sluiced -c FILE: config, start, signals, stop.
 *
 * Exit: 0 after a clean drain, 2 on a mistake in the config or on the command line, 1 otherwise.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "gateway.h"
#include "platform/base/clock.h"
#include "platform/base/log.h"
#include "platform/config/config.h"
#include "platform/control/notify.h"
#include "sl_version.h"

enum { EXIT_CONFIG = 2 };

static const char usage[] =
	"sluiced -c FILE     run in the foreground with this configuration\n"
	"sluiced --version   print the version\n"
	"\n"
	"SIGTERM and SIGINT drain and stop. `sluice check FILE` checks a configuration.\n";

static int signals_open(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigprocmask(SIG_BLOCK, set, NULL); /* before any thread exists: all inherit it */
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int ticks_open(void)
{
	const struct itimerspec second = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_sec = 1}};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0)
		timerfd_settime(fd, 0, &second, NULL);
	return fd;
}

/* Serves until a signal asks for the end; returns the signal. */
static int serve(struct sl_gateway *g, int sig_fd, int tick_fd)
{
	struct pollfd p[2] = {{.fd = sig_fd, .events = POLLIN}, {.fd = tick_fd, .events = POLLIN}};
	bool watched = sl_notify_watchdog_ns() != 0;

	for (;;) {
		struct signalfd_siginfo si;
		uint64_t ticks;

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return SIGTERM;
		if (read(tick_fd, &ticks, sizeof(ticks)) == sizeof(ticks)) {
			sl_gateway_housekeep(g);
			if (watched)
				sl_notify("WATCHDOG=1");
		}
		if (read(sig_fd, &si, sizeof(si)) != sizeof(si))
			continue;
		if (si.ssi_signo != SIGHUP)
			return (int)si.ssi_signo;
		sl_log(SL_LOG_WARN, "app",
		       "SIGHUP: reloading is not in this version; nothing changed");
	}
}

/* What `sluice check` warns of: the daemon runs with it, but somebody should know. */
static void log_warnings(const struct sl_config_list *warnings)
{
	char text[512];

	for (uint32_t i = 0; i < warnings->cnt; i++) {
		sl_config_error_text(&warnings->err[i], text, sizeof(text));
		sl_log(SL_LOG_WARN, "config", "%s", text);
	}
	if (warnings->hidden)
		sl_log(SL_LOG_WARN, "config", "and %u more warnings", warnings->hidden);
}

static int run(struct sl_config *cfg, struct sl_config_errors *errs)
{
	struct sl_gateway g = {.lock_fd = -1};
	char err[512] = "";
	char id[SL_CFG_NAME_MAX];
	sigset_t set;
	int sig_fd = signals_open(&set), tick_fd = ticks_open();
	int rc, sig;

	sl_log_set_level((enum sl_log_level)cfg->log.level);
	log_warnings(&errs->warnings);
	sl_config_errors_fini(errs);
	snprintf(id, sizeof(id), "%s", cfg->gateway.id);
	rc = sl_gateway_start(&g, cfg, err, sizeof(err));
	if (rc) {
		sl_log(SL_LOG_ERROR, "app", "not started: %s", err[0] ? err : strerror(-rc));
		return EXIT_FAILURE;
	}
	sl_log(SL_LOG_INFO, "app", "%s ready after %lu ms, sluiced %s", id,
	       (unsigned long)((g.ready_ns - g.started_ns) / 1000000), SL_VERSION);
	sl_notify("READY=1\nSTATUS=serving");
	sig = serve(&g, sig_fd, tick_fd);
	sl_log(SL_LOG_INFO, "app", "signal %d: draining", sig);
	sl_notify("STOPPING=1\nSTATUS=draining");
	rc = sl_gateway_stop(&g);
	close(tick_fd);
	close(sig_fd);
	if (rc == -ETIMEDOUT)
		sl_log(SL_LOG_WARN, "app",
		       "stopped at the drain's bound: what was left is counted");
	else if (rc)
		sl_log(SL_LOG_WARN, "app", "stopped; the next start recovers the log");
	else
		sl_log(SL_LOG_INFO, "app", "stopped clean");
	if (rc == -EINPROGRESS)
		_exit(EXIT_FAILURE); /* threads still run on what exit handlers would take away */
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
					      {"version", no_argument, NULL, 'V'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	struct sl_config_errors errs = {0};
	struct sl_config *cfg;
	const char *file = NULL;
	int opt;

	while ((opt = getopt_long(argc, argv, "c:Vh", longs, NULL)) != -1) {
		switch (opt) {
		case 'c':
			file = optarg;
			break;
		case 'V':
			printf("sluiced %s\n", SL_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_CONFIG;
		}
	}
	if (!file || optind != argc) {
		fputs(usage, stderr);
		return EXIT_CONFIG;
	}
	if (sl_config_load(file, &cfg, &errs)) {
		sl_config_errors_print(&errs, stderr);
		sl_config_errors_fini(&errs);
		return EXIT_CONFIG;
	}
	return run(cfg, &errs);
}

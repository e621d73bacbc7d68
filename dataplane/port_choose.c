/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "port_choose.h"
#include "port_pci.h"
#include "xdp.h"

/* By enum sl_backend. */
static const struct {
	const struct sl_port_ops *ops;
	const char *why; /* the sentence when the config names it; %s: the device */
} backend[] = {
	[SL_BE_PCI] = {&sl_port_pci, "pci: DPDK drives the card %s itself; untested: no such card "
				     "was at hand when this version was made"},
	[SL_BE_AF_XDP] = {&sl_port_af_xdp, "af_xdp: %s takes an XDP program; the kernel keeps "
					   "everything but the ingest ports"},
	[SL_BE_AF_PACKET] = {&sl_port_af_packet, "af_packet: the config says so; the kernel "
						 "handles every frame of %s as well"},
	[SL_BE_TAP] = {&sl_port_tap, "tap: %s is made by Sluice; what is sent into it is ingest"},
	[SL_BE_PCAP] = {&sl_port_pcap, "pcap: frames are replayed from %s"},
};

static bool device_valid(const char *device)
{
	size_t n = strlen(device);

	return n > 0 && n < IFNAMSIZ && strcspn(device, ",=[]()/ \t") == n;
}

bool sl_port_kind_local(const char *kind)
{
	static const char *const local[] = {"veth", "tun", "bridge", "macvlan", "ipvlan"};

	for (size_t i = 0; i < SL_ARRAY_SIZE(local); i++)
		if (!strcmp(kind, local[i]))
			return true;
	return false;
}

static bool is_capture(const char *s)
{
	size_t n = strlen(s);

	return (n > 5 && !strcmp(s + n - 5, ".pcap")) || (n > 7 && !strcmp(s + n - 7, ".pcapng"));
}

static enum sl_backend by_name(const struct sl_cfg_port *cfg)
{
	if (cfg->backend != SL_BE_AUTO)
		return cfg->backend;
	if (cfg->file[0] || is_capture(cfg->device))
		return SL_BE_PCAP;
	return sl_pci_address(cfg->device) ? SL_BE_PCI : SL_BE_AUTO;
}

static int check_name(const struct sl_cfg_port *cfg, enum sl_backend b, char *err, size_t errlen)
{
	if (b == SL_BE_PCAP || b == SL_BE_PCI || device_valid(cfg->device))
		return 0;
	snprintf(err, errlen, "port %s: \"%s\" is not the name of an interface", cfg->name,
		 cfg->device);
	return -EINVAL;
}

static int get_link(struct sl_nl *nl, const struct sl_cfg_port *cfg, struct sl_nl_link *ret_link,
		    char *err, size_t errlen)
{
	int rc = sl_nl_link_get(nl, cfg->device, ret_link);

	if (rc)
		snprintf(err, errlen, "port %s: interface %s%s%s: %s", cfg->name, cfg->device,
			 cfg->netns[0] ? " in network namespace " : "", cfg->netns,
			 rc == -ENODEV ? "there is none of this name" : strerror(-rc));
	return rc;
}

static void say(enum sl_backend b, const struct sl_cfg_port *cfg, char *why, size_t len)
{
	const char *what = b == SL_BE_PCAP && cfg->file[0] ? cfg->file : cfg->device;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(why, len, backend[b].why, what);
#pragma GCC diagnostic pop
}

/* Why AF_XDP cannot have this interface, as the end of a sentence; "" if it can. */
static void why_not_xdp(const struct sl_cfg_port *cfg, const struct sl_nl_link *link, char *no,
			size_t len)
{
	uint32_t room, mbufs, queues = sl_port_rx_queues(cfg->device);
	char name[32];

	no[0] = 0;
	if (sl_port_af_xdp.needs(cfg, link, &room, &mbufs, no, len))
		return;
	if (sl_xdp_stranger(link->index, name, sizeof(name))) {
		snprintf(no, len, "%.15s has somebody else's XDP program (%s)", cfg->device, name);
		return;
	}
	if (queues > 1) {
		snprintf(no, len, "%.15s receives on %u queues and af_xdp takes one", cfg->device,
			 queues);
		return;
	}
	int rc = sl_xdp_try(link->index, true);
	if (rc && rc != -EBUSY && rc != -EEXIST) /* busy: with a program of ours; open knows more */
		snprintf(no, len, "%.15s takes no XDP program in its driver (%s)", cfg->device,
			 strerror(-rc));
}

/* An interface whose back end is left to us: AF_XDP if nothing speaks against it. */
static int choose_auto(struct sl_nl *nl, const struct sl_cfg_port *cfg, enum sl_backend *ret_b,
		       char *why, size_t whylen, char *err, size_t errlen)
{
	struct sl_nl_link link;
	char no[160];
	int rc = get_link(nl, cfg, &link, err, errlen);

	if (rc)
		return rc;
	why_not_xdp(cfg, &link, no, sizeof(no));
	*ret_b = no[0] ? SL_BE_AF_PACKET : SL_BE_AF_XDP;
	if (no[0])
		snprintf(why, whylen, "af_packet: %s", no);
	return 0;
}

int sl_port_choose(struct sl_nl *nl, const struct sl_cfg_port *cfg,
		   const struct sl_port_ops **ret_ops, char *why, size_t whylen, char *err,
		   size_t errlen)
{
	enum sl_backend b = by_name(cfg);
	int rc = check_name(cfg, b, err, errlen);

	why[0] = 0;
	if (!rc && b == SL_BE_AUTO)
		rc = choose_auto(nl, cfg, &b, why, whylen, err, errlen);
	if (rc)
		return rc;
	if (!why[0])
		say(b, cfg, why, whylen);
	*ret_ops = backend[b].ops;
	return 0;
}

int sl_port_choose_needs(struct sl_nl *nl, const struct sl_cfg_port *cfg, uint32_t *ret_room,
			 uint32_t *ret_mbufs, char *err, size_t errlen)
{
	enum sl_backend b = by_name(cfg);
	struct sl_nl_link link = {0};
	uint32_t room = 0, mbufs = 0;
	int rc = check_name(cfg, b, err, errlen);

	if (!rc && (b == SL_BE_AUTO || backend[b].ops->interface))
		rc = get_link(nl, cfg, &link, err, errlen);
	if (rc)
		return rc;
	if (b != SL_BE_AUTO)
		return backend[b].ops->needs(cfg, &link, ret_room, ret_mbufs, err, errlen);
	rc = sl_port_af_packet.needs(cfg, &link, ret_room, ret_mbufs, err, errlen);
	/* One pool may serve either: it has to fit the larger, if AF_XDP is possible at all. */
	if (!rc && !sl_port_af_xdp.needs(cfg, &link, &room, &mbufs, err, errlen)) {
		*ret_room = SL_MAX(*ret_room, room);
		*ret_mbufs = SL_MAX(*ret_mbufs, mbufs);
	}
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_pci.c - a card that DPDK drives itself, by PCI address.
 *
 * No such card was at hand: this path is untested, its losses are the driver's word, and the
 * status says both. EAL was told to take the address (eal.c), so the port exists already.
 */
#include <errno.h>
#include <rte_ethdev.h>
#include <stdio.h>

#include "port_int.h"
#include "port_pci.h"

static bool hex(const char *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!s[i] || !strchr("0123456789abcdefABCDEF", s[i]))
			return false;
	return true;
}

bool sl_pci_address(const char *device)
{
	if (hex(device, 4) && device[4] == ':')
		device += 5;
	return hex(device, 2) && device[2] == ':' && hex(device + 3, 2) && device[5] == '.' &&
	       device[6] >= '0' && device[6] <= '7' && !device[7];
}

static int pci_needs(const struct sl_cfg_port *cfg, const struct sl_nl_link *link,
		     uint32_t *ret_room, uint32_t *ret_mbufs, char *err, size_t errlen)
{
	(void)link;
	(void)err;
	(void)errlen;
	*ret_room = SL_MAX(2048u, cfg->mtu + 64u);
	*ret_mbufs = 1024;
	return 0;
}

static int pci_prepare(struct sl_port *p, char *args, size_t len, char *err, size_t errlen)
{
	(void)args;
	(void)len;
	if (p->cfg.netns[0]) {
		snprintf(err, errlen, "port %s: a PCI device is in no network namespace",
			 p->cfg.name);
		return -EINVAL;
	}
	int rc = rte_eth_dev_get_port_by_name(p->cfg.device, &p->dpdk_port);
	if (rc)
		snprintf(err, errlen,
			 "%s was not taken by DPDK: is it bound to vfio-pci, and is it a network "
			 "card?",
			 p->cfg.device);
	else
		p->has_dev = true;
	return rc;
}

static int pci_ready(struct sl_port *p, const struct sl_fdset *before, char *err, size_t errlen)
{
	(void)before;
	int rc = p->cfg.mtu ? rte_eth_dev_set_mtu(p->dpdk_port, p->cfg.mtu) : 0;

	if (rc)
		snprintf(err, errlen, "%s: cannot set an MTU of %u: %s", p->cfg.device, p->cfg.mtu,
			 strerror(-rc));
	return rc;
}

static int pci_base(struct sl_port *p)
{
	return rte_eth_stats_reset(p->dpdk_port);
}

static int pci_losses(struct sl_port *p, struct sl_port_losses *ret_l)
{
	struct rte_eth_stats st = {0};
	int rc = rte_eth_stats_get(p->dpdk_port, &st);

	if (rc)
		return rc;
	ret_l->lost = st.imissed;
	ret_l->wire = st.ipackets + st.imissed;
	return 0;
}

const struct sl_port_ops sl_port_pci = {
	.name = "pci",
	.descriptors = 1024,
	.ring = 1024,
	.needs = pci_needs,
	.prepare = pci_prepare,
	.ready = pci_ready,
	.base = pci_base,
	.losses = pci_losses,
};

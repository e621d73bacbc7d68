/* SPDX-License-Identifier: Apache-2.0 */
/* port_pci.h - what else needs to know a PCI address when it sees one. */
#ifndef SL_DATAPLANE_PORT_PCI_H
#define SL_DATAPLANE_PORT_PCI_H

#include "sluice/base.h"

/* True for "0000:01:00.0" and "01:00.0". Any thread. */
bool sl_pci_address(const char *device);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_choose.h - from a port's config to its back end, and the sentence that says why.
 * On the namespace's thread.
 */
#ifndef SL_DATAPLANE_PORT_CHOOSE_H
#define SL_DATAPLANE_PORT_CHOOSE_H

#include "port_int.h"

SL_MUST_CHECK int sl_port_choose(struct sl_nl *nl, const struct sl_cfg_port *cfg,
				 const struct sl_port_ops **ret_ops, char *why, size_t whylen,
				 char *err, size_t errlen);
/* Room and mbufs that fit whatever would be chosen. */
SL_MUST_CHECK int sl_port_choose_needs(struct sl_nl *nl, const struct sl_cfg_port *cfg,
				       uint32_t *ret_room, uint32_t *ret_mbufs, char *err,
				       size_t errlen);
/* Frames on this kind of interface may come from this very box, without a checksum. */
bool sl_port_kind_local(const char *kind);

#endif

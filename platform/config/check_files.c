/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that the config names, looked at as far as this process may. It only warns: a config is
 * checked elsewhere too, and a password that is not there yet must not keep devices from writing.
 * What may not be looked at is passed over.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "platform/base/secret.h"
#include "platform/config/check.h"
#include "platform/config/client_props.h"

static void check_secret(const struct sl_check *c, const struct sl_node *n, const char *path)
{
	char secret[SL_SECRET_MAX + 1], err[SL_CFG_PATH_MAX + 128];
	int rc = n ? sl_secret_read(path, secret, sizeof(secret), err, sizeof(err)) : -EACCES;

	explicit_bzero(secret, sizeof(secret));
	if (rc != -EACCES && rc != -EPERM && err[0])
		sl_warn_value(c->l, n, "%s", err);
}

static void check_file(const struct sl_check *c, const struct sl_node *n, const char *path)
{
	if (n && path[0] == '/' && access(path, F_OK) < 0 && errno != EACCES)
		sl_warn_value(c->l, n, "%s: %s", path, strerror(errno));
}

static void check_broker(const struct sl_check *c, uint32_t i)
{
	const struct sl_cfg_broker *b = &c->cfg->mqtt.broker[i];
	const struct sl_node *tls = sl_check_get(c->brokers, i, "tls");

	check_secret(c, sl_check_get(c->brokers, i, "password_file"), b->password_file);
	check_file(c, sl_doc_get(tls, "ca"), b->tls.ca);
	check_file(c, sl_doc_get(tls, "cert"), b->tls.cert);
	check_file(c, sl_doc_get(tls, "key"), b->tls.key);
}

void sl_check_files(struct sl_check *c)
{
	const struct sl_node *client = sl_doc_get(c->uplink, "client");
	const struct sl_node *files = sl_doc_get(c->uplink, "client_files");

	for (uint32_t i = 0; i < c->cfg->mqtt.broker_cnt; i++)
		check_broker(c, i);
	for (uint32_t i = 0; i < c->cfg->uplink.prop_cnt; i++) {
		const struct sl_cfg_prop *p = &c->cfg->uplink.prop[i];
		if (p->file)
			check_secret(c, sl_doc_get(files, p->name), p->value);
		else if (sl_client_is_path(p->name))
			check_file(c, sl_doc_get(client, p->name), p->value);
	}
}

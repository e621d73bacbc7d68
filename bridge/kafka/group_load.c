/* SPDX-License-Identifier: Apache-2.0 */
/* group_load.c - from the records of __consumer_offsets to groups and offsets. */
#include <errno.h>
#include <stdlib.h>

#include "group_record.h"
#include "groups.h"
#include "platform/record/check.h"

#define READ_BYTES (1u << 20)

static void foreign(struct sl_kgroups *ks)
{
	sl_kcount(&ks->counters.foreign, 1);
}

/* Reading back makes groups as they come, but not for a tombstone. */
static struct sl_kgroup *group_for(struct sl_kgroups *ks, const struct sl_gkey *key,
				   struct sl_slice value, int32_t from)
{
	struct sl_kgroup *kg = sl_kgroups_find(ks, key->group);
	if (!kg && from >= 0 && value.p)
		kg = sl_kgroups_get(ks, key->group);
	if (kg && from >= 0)
		kg->partition = (uint32_t)from; /* it stays where it is found */
	return kg;
}

static void apply_offset(struct sl_kgroups *ks, const struct sl_gkey *key, struct sl_slice value,
			 int32_t from)
{
	struct sl_kgroup *kg = group_for(ks, key, value, from);
	struct sl_offset v = {.topic = key->topic, .partition = key->partition}, *old;

	if (!kg)
		return; /* beyond the maximum: counted; or an old tombstone's */
	if (value.p) {
		if (!sl_goffset_read(value, &v))
			foreign(ks);
		else if (sl_offsets_set(&ks->offsets, &kg->offsets, &v))
			ks->env.refused++;
		return;
	}
	old = sl_offsets_find(&ks->offsets, &kg->offsets, key->topic, key->partition);
	if (old)
		sl_offsets_del(&ks->offsets, &kg->offsets, old);
}

/* The group as the record says, in place of what earlier records said. */
static bool seed_group(struct sl_kgroup *kg, struct sl_slice value)
{
	struct sl_group_env *env = kg->g.env;
	struct sl_gmember_seed ms;
	struct sl_group_seed seed;
	struct sl_gmeta_rd rd;

	if (!sl_gmeta_read(value, &rd, &seed))
		return false;
	sl_group_fini(&kg->g);
	sl_group_init(&kg->g, env);
	if (seed.protocol_type.len == 0)
		seed.protocol_type = (struct sl_slice){NULL, 0};
	bool ok = sl_group_seed(&kg->g, &seed) == 0;
	while (ok && rd.left > 0)
		ok = sl_gmeta_read_member(&rd, &ms) &&
		     sl_group_seed_member(&kg->g, &ms, seed.leader) == 0;
	if (!ok) { /* half a group is none: its members come back by themselves */
		sl_group_fini(&kg->g);
		sl_group_init(&kg->g, env);
		kg->g.generation = seed.generation;
	}
	sl_group_seed_end(&kg->g);
	return ok;
}

static void apply_group(struct sl_kgroups *ks, const struct sl_gkey *key, struct sl_slice value,
			int32_t from)
{
	struct sl_kgroup *kg = group_for(ks, key, value, from);

	if (!kg)
		return;
	kg->record_bytes = value.p ? SL_BATCH_HDR + key->group.len + value.len : 0;
	if (from < 0)
		return; /* the machine knows better */
	if (value.p && !seed_group(kg, value))
		foreign(ks);
	if (!value.p) {
		struct sl_group_env *env = kg->g.env;
		sl_group_fini(&kg->g);
		sl_group_init(&kg->g, env);
	}
}

void sl_kgroups_apply(struct sl_kgroups *ks, struct sl_slice key, struct sl_slice value,
		      int32_t from)
{
	struct sl_gkey k;

	if (!sl_gkey_read(key, &k) || k.kind == SL_GREC_FOREIGN)
		foreign(ks);
	else if (k.kind == SL_GREC_OFFSET)
		apply_offset(ks, &k, value, from);
	else
		apply_group(ks, &k, value, from);
}

/* ---- reading back ---------------------------------------------------------------------------- */

struct load {
	struct sl_kgroups *ks;
	struct sl_glog_part *part;
	struct sl_scratch scratch;
	struct sl_read rd;
};

static void load_batch(struct load *ld, const uint8_t *b)
{
	struct sl_record_walk walk;
	struct sl_record rec;
	int rc;

	if (sl_batch_attrs(b) & (SL_ATTR_CONTROL | SL_ATTR_TRANSACTIONAL)) {
		foreign(ld->ks); /* commits of transactions are not decided here */
		return;
	}
	rc = sl_record_walk_init(&walk, b, &ld->scratch);
	while (!rc && (rc = sl_record_walk_next(&walk, &rec)) == 1) {
		sl_kgroups_apply(ld->ks, rec.key, rec.value, (int32_t)ld->part->index);
		rc = 0;
	}
	if (rc)
		foreign(ld->ks);
}

static void load_batches(struct load *ld)
{
	const uint8_t *p = ld->rd.buf, *end = p + ld->rd.len;

	while ((size_t)(end - p) >= SL_BATCH_HDR) {
		uint32_t total = sl_batch_total(p);
		if (sl_batch_length(p) < SL_BATCH_HDR - SL_BATCH_LEN_BIAS ||
		    total > (size_t)(end - p))
			break; /* the store gives whole batches */
		load_batch(ld, p);
		p += total;
	}
}

static int grow(struct load *ld)
{
	uint32_t cap = SL_MAX(ld->rd.need, READ_BYTES);
	uint8_t *p = realloc(ld->rd.buf, cap);
	if (!p)
		return -ENOMEM;
	ld->rd.buf = p;
	ld->rd.cap = ld->rd.max_bytes = cap;
	return 0;
}

static int load_part(struct load *ld)
{
	struct sl_part *p = ld->part->part;
	struct sl_read *rd = &ld->rd;
	int64_t end = sl_part_end(p);
	int rc = 0;

	rd->offset = sl_part_start(p);
	rd->max_offset = INT64_MAX;
	rd->at_least_one = true;
	while (rd->offset < end && !rc) {
		int64_t from = rd->offset;
		rc = sl_store_read(p, rd);
		if (rc == -EMSGSIZE) {
			rc = grow(ld);
		} else if (rc == -EILSEQ && rd->next_offset > from) {
			foreign(ld->ks); /* damage: kept apart by the store */
			rd->offset = rd->next_offset;
			rc = 0;
		} else if (!rc) {
			load_batches(ld);
			ld->part->bytes += rd->len;
			if (rd->next_offset <= from)
				break;
			rd->offset = rd->next_offset;
		}
	}
	return rc;
}

static void log_result(struct sl_kgroups *ks)
{
	uint64_t odd = atomic_load_explicit(&ks->counters.foreign, memory_order_relaxed);

	if (ks->cnt)
		sl_log(SL_LOG_INFO, "kafka", "%s: %u groups, %llu members, %u committed offsets",
		       SL_OFFSETS_TOPIC, ks->cnt, (unsigned long long)ks->env.members,
		       ks->offsets.cnt);
	if (odd || ks->env.refused)
		sl_log(SL_LOG_WARN, "kafka", "%s: %llu records not understood, %llu beyond limits",
		       SL_OFFSETS_TOPIC, (unsigned long long)odd,
		       (unsigned long long)ks->env.refused);
}

/* Groups whose last records were tombstones are none. */
static void look_at_all(struct sl_kgroups *ks)
{
	struct sl_kgroup *kg;
	TAILQ_FOREACH(kg, &ks->all, link)
	sl_kgroups_look_at(ks, kg);
	sl_kgroups_drop_unneeded(ks);
}

int sl_kgroups_read_back(struct sl_kgroups *ks, struct sl_topic *t)
{
	struct load ld = {.ks = ks};
	int rc = sl_glog_open(&ks->log, ks, t);

	if (rc) {
		sl_topic_put(t);
		return rc;
	}
	sl_scratch_init(&ld.scratch, SL_KSERVER_UNPACKED_MAX);
	rc = grow(&ld);
	for (uint32_t i = 0; i < ks->log.part_cnt && !rc; i++) {
		ld.part = &ks->log.part[i];
		rc = load_part(&ld);
		if (rc)
			sl_log(SL_LOG_ERROR, "kafka", "%s-%u: %s", SL_OFFSETS_TOPIC, i,
			       strerror(-rc));
	}
	free(ld.rd.buf);
	sl_scratch_fini(&ld.scratch);
	if (rc) {
		sl_kgroups_drop_all(ks);
		sl_glog_close(&ks->log);
	} else {
		look_at_all(ks);
		log_result(ks);
	}
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* engine_priv.h - the inside of the engine, for engine*.c only. */
#ifndef SL_BRIDGE_UPLINK_ENGINE_PRIV_H
#define SL_BRIDGE_UPLINK_ENGINE_PRIV_H

#include <pthread.h>

#include "bridge/cursor/cursor.h"
#include "budget.h"
#include "engine.h"
#include "platform/base/log.h"
#include "platform/base/tpl_vars.h"

#define MS              1000000ull
#define SWEEP_MIN_NS    (5 * MS)     /* between two looks at partitions that had nothing */
#define SWEEP_SHARE     32           /* and that many times as long as such a look took */
#define SWEEP_BYTES     (256 * 1024) /* a round that sent so much is followed by the next */
#define TICK_NS         (1000 * MS)  /* at the latest then a turn is due */
#define POLL_NS         (100 * MS)   /* the same while the sink has something under way */
#define SAVE_NS         (60000 * MS)
#define SAVE_SOON_NS    (100 * MS) /* as a rule before the first commit of what is new */
#define SAVE_RETRY_NS   (5000 * MS)
#define DEST_LOOK_NS    (1000 * MS)
#define DEST_WAIT_NS    (30000 * MS)
#define PART_RETRY_NS   (1000 * MS)
#define EVENTS_MAX      32
#define TURN_RECORDS    4096 /* sent in one turn at most */
#define HEADS_A_TURN    16
#define OWN_HDRS        5     /* sluice.gateway, .topic, .partition, .offset, .timestamp */
#define RECORD_BYTES    120   /* what a record costs beside its own bytes, for the rate */
#define DEAD_VALUE_MAX  65536 /* of a value that was too large, in its dead letter */
#define ABORTS_IN_ROW   3     /* without a refusal: then the engine backs off */
#define TAG_POSITION    (1ull << 63)
#define TAG_SLOT_SHIFT  48
#define TAG_OFFSET_MASK ((1ull << TAG_SLOT_SHIFT) - 1)
#define KAFKA_TOO_LARGE 10
#define KAFKA_INVALID   87 /* INVALID_RECORD */

enum dest_state {
	DEST_ASK,     /* to be asked for */
	DEST_WAIT,    /* asked: an event follows */
	DEST_MISSING, /* to be made */
	DEST_MAKING,  /* an event follows */
	DEST_FAILED,  /* again at due_ns */
	DEST_OK,
};

struct dest { /* a topic at the centre */
	char name[SL_TOPIC_NAME_MAX + 1];
	enum dest_state state;
	int partitions;  /* with DEST_OK */
	uint32_t want;   /* partitions, if it has to be made */
	uint64_t due_ns; /* look again */
	bool seen;       /* it was there once */
};

struct topic {              /* one that is carried */
	struct sl_topic *t; /* referenced */
	struct dest *dest;  /* NULL: no legal name comes out */
	uint32_t part_cnt;  /* of those below */
	uint32_t *slot;
};

struct part {
	struct sl_part *p;
	struct topic *topic;
	int32_t id;
	uint32_t slot;
	bool known;     /* the centre's position is */
	bool at_centre; /* there is a record of it there */
	bool leaving;   /* the topic was deleted: what is left is given up */
	bool touched;   /* by the transaction under way */
	struct sl_cursor cur;
	struct sl_up_pos done, next; /* committed; as of the transaction under way */
	uint64_t damaged;            /* of the transaction under way */
	uint64_t retry_ns;           /* unreadable until then */
	int64_t found;
	int64_t head_off,
		head_ts; /* timestamp of the record at that offset, if it is done.offset */
	/* a transaction whose outcome is not known */
	bool doubtful;
	struct sl_up_pos doubt;
	/* suspects: [sus_lo, sus_hi), empty if sus_hi <= done.offset */
	int64_t sus_lo, sus_hi;
	uint32_t sus_group; /* records to send next by themselves */
	/* refused in the transaction under way */
	int64_t ref_lo, ref_hi;
	uint32_t ref_cnt;
	int ref_error;
	/* refused alone, -1: none */
	int64_t bad_off;
	int bad_error;
	unsigned bad_step; /* how much of it the dead-letter topic would not take */
	/* made once */
	char id_text[12];
	struct sl_hdr hdr[3]; /* gateway, topic, partition */
	uint32_t overhead;
};

enum phase { PH_DOWN, PH_OPENING, PH_CLAIM, PH_READY };
enum txn_state { TX_NONE, TX_OPEN, TX_POSITIONS, TX_COMMIT, TX_ABORT };
enum txn_kind { TX_NORMAL, TX_CLAIM, TX_GROUP, TX_DEAD };

struct txn {
	enum txn_state state;
	enum txn_kind kind;
	uint64_t begun_ns, bytes;
	uint32_t records; /* produced, positions left out */
	uint32_t refused;
	bool position_refused;
	struct part *alone;     /* TX_GROUP, TX_DEAD */
	uint32_t *touched, cnt; /* slots; room for all */
	uint32_t at;            /* TX_POSITIONS: the next one */
	bool claimed;           /* TX_CLAIM: the claim is produced */
};

struct sl_engine {
	struct sl_engine_cfg cfg;
	const struct sl_sink_ops *ops;
	struct sl_tpl *dest_tpl;
	struct sl_cursor_mem mem;
	struct sl_budget budget;
	uint64_t rng;
	struct sl_sink_event *ev;

	enum phase phase;
	bool same_names; /* uplink.destination is what it was */
	bool life;       /* the centre was looked at once in this life: it must be as we left it */
	bool link;
	bool saved; /* this instance's token is on stable storage: not without */
	bool stopping, stopped;
	unsigned failures; /* in a row, of the connection */
	unsigned aborts;   /* in a row, without a refusal */
	uint64_t retry_ns; /* PH_DOWN: open then; UINT64_MAX: not until told */
	uint64_t hold_ns;  /* no new transaction before */
	char claim_found[SL_TOKEN_TEXT];
	bool doubt_dead; /* the doubtful transaction was a dead letter's */
	uint32_t doubt_slot;

	/* what opening brings */
	struct sl_claim claim;
	bool claim_seen;
	char bad_position[256];
	struct sl_position *pos;
	uint32_t pos_cnt, pos_cap;

	uint64_t generation; /* of the store, as last looked at */
	struct topic **topic;
	uint32_t topic_cnt, topic_cap;
	struct dest **dest;
	uint32_t dest_cnt, dest_cap;
	struct dest *dead_letter;
	struct part **part; /* by slot, NULL: free */
	uint32_t slot_cnt, slot_cap;
	struct sl_upstate_part *other; /* lines of the file that no carried partition has */
	uint32_t other_cnt;

	struct txn txn;
	struct part *visit;       /* being read */
	struct part *held_part;   /* whose record `held` could not be taken yet */
	struct sl_cursor_rec rec; /* the last one read */
	bool held;
	uint32_t rr, circle;   /* next slot; slots left of this round */
	uint64_t circle_bytes; /* sent in this round */
	uint32_t suspect_at;
	bool suspect_turn;  /* the next transaction is for suspects, if there are any */
	uint64_t circle_ns; /* when this round began */
	uint64_t sweep_ns;  /* no new round before */
	bool looking;       /* a round found nothing; the next one is not held up */
	bool want_store;    /* this turn found nothing: the store's move is waited for */
	char offset_text[24], ts_text[24]; /* of the record being sent */
	struct sl_hdr *hdr;                /* of the record being sent */
	uint32_t hdr_cap;

	uint64_t save_ns; /* UINT64_MAX: nothing to save */

	/* what sl_engine_stats() reads: under this lock; the owner reads without it */
	pthread_mutex_t lock;
	char last_error[SL_CFG_TEXT_MAX];
	struct {
		enum sl_up_state state;
		uint64_t retry_ns, rate; /* retry_ns 0: it is not waiting */
	} pub;
	struct sl_log_limit log_limit;
};

/* ---- engine.c -------------------------------------------------------------------------------- */

uint64_t sl_en_now(const struct sl_engine *e);
int64_t sl_en_wall(const struct sl_engine *e);
void sl_en_count(struct sl_engine *e, enum sl_bridge_row row, uint64_t n);
/* Remembers and logs, a few lines a minute. */
void sl_en_error(struct sl_engine *e, const char *fmt, ...) SL_PRINTF(2, 3);
/* Closes the sink and waits until the operator has decided. Durable. */
void sl_en_alarm(struct sl_engine *e, enum sl_up_alarm alarm, const char *fmt, ...) SL_PRINTF(3, 4);
/* Closes the sink; opens it again after the back-off. `at_once`: the first time without one. */
void sl_en_rebuild(struct sl_engine *e, bool at_once);
uint64_t sl_en_backoff_ns(struct sl_engine *e, unsigned failures);
void sl_en_save_in(struct sl_engine *e, uint64_t ns);
int sl_en_save(struct sl_engine *e);
void sl_en_close(struct sl_engine *e);

/* ---- engine_topics.c ------------------------------------------------------------------------- */

/* Follows the store's topics. `found`: this is the start. -ENOMEM. */
int sl_en_topics(struct sl_engine *e, bool at_start);
void sl_en_topics_fini(struct sl_engine *e);
struct part *sl_en_part_find(const struct sl_engine *e, const uint8_t id[16], int32_t partition);
/* The position is known now: the cursor goes there. */
void sl_en_part_known(struct sl_engine *e, struct part *p, const struct sl_up_pos *pos);
/* Counts it as gone, forgets it. */
void sl_en_part_retire(struct sl_engine *e, struct part *p);
void sl_en_gone(struct sl_engine *e, const struct sl_up_pos *pos, int64_t end);
/* Asks for, makes, looks again at the topics there. Returns when it wants to again. */
uint64_t sl_en_dests(struct sl_engine *e);
void sl_en_dests_ask(struct sl_engine *e); /* nothing is known any more: a new producer */
struct dest *sl_en_dest_find(const struct sl_engine *e, const char *name);
void sl_en_dest_event(struct sl_engine *e, const struct sl_sink_event *ev);
void sl_en_dest_none(struct sl_engine *e, const struct topic *t); /* says so */
void sl_en_dest_lost(struct sl_engine *e, struct dest *d);

/* ---- engine_open.c --------------------------------------------------------------------------- */

void sl_en_open(struct sl_engine *e);
void sl_en_open_event(struct sl_engine *e, const struct sl_sink_event *ev);
void sl_en_opened(struct sl_engine *e); /* SL_SINK_READY */
void sl_en_claimed(struct sl_engine *e);
/* Produces what a claim's transaction has. As ops->produce. */
int sl_en_claim_produce(struct sl_engine *e);

/* ---- engine_txn.c ---------------------------------------------------------------------------- */

bool sl_en_begin(struct sl_engine *e, enum txn_kind kind, struct part *alone);
void sl_en_touch(struct sl_engine *e, struct part *p);
void sl_en_drop_held(struct sl_engine *e); /* e->rec is read again, whose turn it was is open */
void sl_en_finish(struct sl_engine *e);    /* positions, then commit */
void sl_en_flush(struct sl_engine *e);     /* commit without positions: something was refused */
void sl_en_positions(struct sl_engine *e);
void sl_en_abort(struct sl_engine *e);
void sl_en_committed(struct sl_engine *e);
void sl_en_aborted(struct sl_engine *e);
void sl_en_forget_txn(struct sl_engine *e, bool doubt); /* the producer is gone */
int sl_en_position_produce(struct sl_engine *e, struct part *p);
void sl_en_rewind(struct sl_engine *e, struct part *p);

/* ---- engine_send.c --------------------------------------------------------------------------- */

/* Sends what there is for the transaction under way, or begins one. Returns when it wants to go on:
 * 0 at once, UINT64_MAX: when the store moves. */
uint64_t sl_en_send(struct sl_engine *e);
/*
 * The record e->rec as it goes out, in e->hdr and *ret: its own headers (if `own`), then ours, with
 * room for `extra` more behind them. -ENOMEM.
 */
SL_MUST_CHECK int sl_en_record(struct sl_engine *e, struct part *p, bool own, uint32_t extra,
			       struct sl_sink_rec *ret);
struct sl_hdr sl_en_number(const char *name, int64_t v, char text[24]);
/* Reads the next record of p below `bound` into e->rec. 1: it is there; 0: none now; the position
 * has moved over what is not there. -EPIPE: the sink is closed. */
int sl_en_read(struct sl_engine *e, struct part *p, int64_t bound);
void sl_en_unread(struct sl_engine *e, struct part *p); /* e->rec is read again */
int32_t sl_en_partition(const struct part *p, const struct dest *d);

/* ---- engine_refuse.c ------------------------------------------------------------------------- */

void sl_en_refused(struct sl_engine *e, const struct sl_sink_event *ev);
/* A refusal by ourselves or by the library, of e->rec: it is not sent. */
void sl_en_refuse_here(struct sl_engine *e, struct part *p, int error);
void sl_en_suspects(struct sl_engine *e, struct part *p); /* after the abort */
void sl_en_suspects_passed(struct part *p);               /* after a commit */
/* The next partition whose suspects are due, NULL: none. */
struct part *sl_en_suspect_next(struct sl_engine *e);
/* The dead letter of p->bad_off, in a transaction that is open for it. As sl_en_send(). */
uint64_t sl_en_send_dead(struct sl_engine *e, struct part *p);
SL_INLINE bool sl_en_has_suspects(const struct part *p)
{
	return p->bad_off >= 0 || p->sus_hi > p->done.offset;
}
/* Records from here on are not for an ordinary transaction. */
SL_INLINE int64_t sl_en_bound(const struct part *p)
{
	int64_t bound = p->sus_hi > p->done.offset ? p->sus_lo : INT64_MAX;

	return p->bad_off >= 0 ? SL_MIN(bound, p->bad_off) : bound;
}

/* ---- engine_stats.c -------------------------------------------------------------------------- */

/* Looks up timestamps of the first records not sent, a few at a call, when nothing is sent. */
void sl_en_heads(struct sl_engine *e);
void sl_en_publish(struct sl_engine *e); /* what others may know of the state */

#endif

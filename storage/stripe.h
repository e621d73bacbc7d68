/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stripe.h - write stripes: memory that is written to disk in large pieces, serves readers as tail
 * cache, and outlives the process.
 *
 * The stripe file lies on tmpfs or hugetlbfs and is mapped MAP_SHARED: header, one descriptor per
 * 16 KiB unit, then the memory of each writer in 2 MiB chunks. A chunk is carved into stripes of
 * one class. A stripe covers a run of one segment file from a block boundary on; its first `head`
 * bytes repeat the unfinished last block of its predecessor. Byte table:
 * docs/formats/stripe-file.md.
 *
 * After kill -9 the next start writes out what the descriptors name. The order of stores makes
 * that right at every instruction: bytes before `used`, constant fields before state OPEN, the
 * successor OPEN before the predecessor CLOSED, CLOSED or OPEN until the bytes are in the file, an
 * end record before the last stripe of a partition is FREE.
 *
 * Reclaiming: `pins` counts readers, bit 31 says that the writer has taken the stripe back. A
 * reader pins by compare-and-swap, then compares the generation of its reference.
 */
#ifndef SL_STORAGE_STRIPE_H
#define SL_STORAGE_STRIPE_H

#include <stdatomic.h>

#include "io.h"
#include "layout.h"

#define SL_STRIPE_UNIT        (16u << 10)
#define SL_STRIPE_CHUNK       (2u << 20)
#define SL_STRIPE_UNITS       (SL_STRIPE_CHUNK / SL_STRIPE_UNIT)
#define SL_STRIPE_CLASSES     8u
#define SL_STRIPE_CLASS_MIB   6u /* of 1 MiB: the largest that a rate alone asks for */
#define SL_STRIPE_MARKS       16u
#define SL_STRIPE_MIN_BYTES   (4ull * SL_STRIPE_CHUNK) /* per writer */
#define SL_STRIPE_MAGIC       0x5349525453434c53ull    /* "SLCSTRIS" */
#define SL_STRIPE_VERSION     1u
#define SL_STRIPE_ENDS        16384u /* records of struct sl_send: partitions of a store */
#define SL_STRIPE_PINNED_BACK 0x80000000u

extern const uint32_t sl_stripe_bytes[SL_STRIPE_CLASSES];

enum sl_sdesc_state {
	SL_SD_FREE,   /* nothing that the file does not have */
	SL_SD_OPEN,   /* last of its segment: every byte below used belongs into the file */
	SL_SD_CLOSED, /* a successor has its unfinished last block: only whole blocks are its own */
};

struct sl_sdesc { /* in the stripe file, host byte order */
	_Atomic uint32_t state;
	uint32_t bytes; /* of the stripe's memory */
	uint8_t topic_id[16];
	int32_t part;
	uint32_t head; /* bytes repeated from the predecessor, < SL_IO_BLOCK */
	int64_t seg_base;
	uint64_t file_pos;     /* of the first byte of memory, multiple of SL_IO_BLOCK */
	int64_t base_offset;   /* of the first batch after head */
	_Atomic uint32_t used; /* published bytes, head included */
	uint32_t fresh;        /* 1: the segment file held nothing older */
	uint8_t reserved[64];
};
_Static_assert(sizeof(struct sl_sdesc) == 128, "docs/formats/stripe-file.md");
_Static_assert(offsetof(struct sl_sdesc, seg_base) == 32, "docs/formats/stripe-file.md");
_Static_assert(offsetof(struct sl_sdesc, used) == 56, "docs/formats/stripe-file.md");

/*
 * Where the log of a partition ended when its last stripe was taken back: written before that
 * stripe's descriptor is freed. Whatever says a higher offset is newer.
 */
struct sl_send { /* in the stripe file, host byte order */
	uint8_t topic_id[16];
	int32_t part;
	uint32_t fresh;
	int64_t seg_base;
	uint64_t pos;
	int64_t offset;
	uint32_t crc; /* CRC-32C of the bytes before; 0 in an unused record */
	uint32_t zero;
	uint64_t reserved;
};
_Static_assert(sizeof(struct sl_send) == 64, "docs/formats/stripe-file.md");
_Static_assert(offsetof(struct sl_send, crc) == 48, "docs/formats/stripe-file.md");

struct sl_shdr { /* first bytes of the stripe file, host byte order */
	uint64_t magic;
	uint32_t version;
	uint32_t writers;
	char directory_id[24];
	uint64_t run;
	char boot_id[40];
	uint32_t units; /* per writer */
	uint32_t unit_bytes;
	uint64_t desc_off;
	uint64_t end_off; /* of SL_STRIPE_ENDS records */
	uint64_t mem_off;
	uint64_t total;
	uint32_t crc; /* CRC-32C of the bytes before */
	uint32_t zero;
};
_Static_assert(sizeof(struct sl_shdr) == 136, "docs/formats/stripe-file.md");
_Static_assert(offsetof(struct sl_shdr, crc) == 128, "docs/formats/stripe-file.md");

struct sl_part;
struct sl_seg;

/* A reference that survives reclaiming: generation << 32 | unit. 0 is none. */
typedef uint64_t sl_sref;

struct sl_stripe {
	/* any thread */
	_Atomic uint32_t pins;
	_Atomic uint32_t gen;
	struct sl_sdesc *desc; /* constant */
	uint8_t *mem;          /* constant */
	int64_t first_off;     /* constant while pinned: base of the first batch after head */
	uint32_t head;
	_Atomic sl_sref prev, next;
	_Atomic uint64_t marks[SL_STRIPE_MARKS]; /* (offset - first_off) << 32 | position, 0 none */
	/* the writer */
	struct sl_part *part SL_ALIGNED(SL_CACHELINE);
	struct sl_seg *seg;
	uint32_t unit, bytes, used;
	uint64_t file_pos;
	int64_t abs0; /* place of mem[0] in all bytes that the partition ever appended */
	uint64_t opened_ns;
	bool open;  /* takes appends */
	bool final; /* closed without a successor: its last block is its own, padded with zeros */
	bool clean; /* closed and in the file, and so is all before it */
	bool complete; /* closed and in the file */
	bool inflight;
	uint32_t wfull;                   /* whole blocks written up to here */
	uint32_t wdone;                   /* bytes written up to here, unfinished block included */
	uint32_t op_full, op_used, op_to; /* of the write under way */
	uint8_t op_left;
	bool op_tail; /* it includes the unfinished block, from the round's copy */
	int op_err;
	struct sl_io_req req[2];
	struct sl_stripe *unw_next;      /* next unwritten stripe of the partition */
	struct sl_stripe *wprev, *wnext; /* neighbours while they are not clean */
};

struct sl_chunk {
	uint8_t cls;
	bool busy;     /* carved */
	uint16_t used; /* stripes handed out */
};

struct sl_pool { /* one writer's share */
	uint8_t *mem;
	struct sl_sdesc *desc;
	struct sl_stripe *st; /* one per unit */
	struct sl_chunk *chunk;
	uint32_t chunks;
	int32_t filling[SL_STRIPE_CLASSES]; /* chunk index or -1 */
	uint32_t *fifo;                     /* carved chunks, oldest first: a ring of `chunks` */
	uint32_t fifo_head, fifo_cnt;
};

struct sl_arena {
	uint8_t *map;
	size_t map_bytes;
	unsigned writers;
	struct sl_pool *pool;
	struct sl_send *end;
	int dir_fd;
	char name[64];
};

/*
 * Makes the stripe file of this run under a temporary name and maps it; the last run's, which has
 * been written out, is removed. -EINVAL: too small, -ENOSPC: the tmpfs or the hugepages do not
 * suffice. Control; blocks.
 */
SL_MUST_CHECK int sl_arena_make(struct sl_arena *a, const char *dir, const char *directory_id,
				uint64_t run, unsigned writers, uint64_t bytes);
/* Gives it its name. Control. */
SL_MUST_CHECK int sl_arena_publish(struct sl_arena *a);
/* `unlink`: nothing in it is needed any more. Accepts zeroed. */
void sl_arena_fini(struct sl_arena *a, bool unlink);

/* The stripe file of the last run, mapped for reading. */
struct sl_arena_old {
	uint8_t *map;
	size_t map_bytes;
	const struct sl_shdr *hdr;
};
/* -ENOENT: none; -ESTALE: of another run, boot or directory; -EILSEQ: damaged. Control. */
SL_MUST_CHECK int sl_arena_old_open(struct sl_arena_old *o, const char *dir,
				    const char *directory_id, uint64_t run);
/* Calls fn for each descriptor in use whose fields are within bounds. */
int sl_arena_old_each(const struct sl_arena_old *o,
		      int (*fn)(const struct sl_sdesc *d, const uint8_t *mem, void *arg),
		      void *arg);
/* Calls fn for each end record that is whole. */
int sl_arena_old_ends(const struct sl_arena_old *o, int (*fn)(const struct sl_send *e, void *arg),
		      void *arg);
void sl_arena_old_close(struct sl_arena_old *o); /* accepts zeroed */

/* Fills record `i`. The caller frees the stripe's descriptor only afterwards. */
void sl_arena_put_end(struct sl_arena *a, uint32_t i, const struct sl_send *e);

/*
 * A stripe of class `cls` with pins taken back, or NULL. `reclaim` is asked for each stripe of a
 * chunk that would be emptied: it says whether it may go (commit false), then lets go of it
 * (commit true). The writer.
 */
struct sl_stripe *sl_pool_alloc(struct sl_pool *p, uint32_t cls,
				bool (*reclaim)(struct sl_stripe *st, bool commit, void *arg),
				void *arg);
/*
 * Calls fn for each stripe of the oldest chunks, until there were `chunks` of them of whose stripes
 * it never said that one cannot go (false). The writer.
 */
void sl_pool_each_old(struct sl_pool *p, uint32_t chunks,
		      bool (*fn)(struct sl_stripe *st, void *arg), void *arg);
/* Whether fn says of a stripe in every chunk that it cannot go. The writer. */
bool sl_pool_stuck(struct sl_pool *p, bool (*fn)(const struct sl_stripe *st));
/* The stripe is set up: readers may pin it. Returns its reference. The writer. */
sl_sref sl_stripe_offer(struct sl_pool *p, struct sl_stripe *st);

/* Pins what `ref` names; NULL if it has been reclaimed. Any thread. */
struct sl_stripe *sl_stripe_pin(struct sl_pool *p, sl_sref ref);
void sl_stripe_unpin(struct sl_stripe *st);

#endif

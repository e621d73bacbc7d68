// SPDX-License-Identifier: Apache-2.0

// The driver contract (tests/clients/README.md) for clients that are Node.js libraries. They are
// looked for below the folder that SLT_NODE_MODULES names.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

export const require = createRequire(`${process.env.SLT_NODE_MODULES}/`);
export const version = (name) =>
  JSON.parse(readFileSync(`${process.env.SLT_NODE_MODULES}/${name}/package.json`, 'utf8')).version;
export const WAIT_MS = 20000;
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** The client library has no such thing. */
export class Lacking extends Error {}

const bytes = (text) => (text === null ? null : Buffer.from(text, 'base64'));

export function readRecords(path) {
  return readFileSync(path, 'utf8').split('\n').filter(Boolean).map((line) => {
    const r = JSON.parse(line);
    return { key: bytes(r.k), value: bytes(r.v), headers: r.h.map(([n, v]) => [n, bytes(v)]), timestamp: r.t };
  });
}

function sized(data) {
  const head = Buffer.alloc(4);
  if (data === null || data === undefined) {
    head.writeInt32BE(-1);
    return head;
  }
  head.writeInt32BE(data.length);
  return Buffer.concat([head, data]);
}

function canonical(r) {
  const head = Buffer.alloc(16);
  head.writeBigInt64BE(r.offset, 0);
  head.writeBigInt64BE(r.timestamp, 8);
  const count = Buffer.alloc(4);
  count.writeInt32BE(r.headers.length);
  return Buffer.concat([head, sized(r.key), sized(r.value), count,
    ...r.headers.flatMap(([n, v]) => [sized(Buffer.from(n)), sized(v)])]);
}

/** Takes records of partitions [from, to) as they come. */
export class Taker {
  constructor(req) {
    this.begin = new Map(Object.entries(req.from).map(([p, o]) => [Number(p), BigInt(o)]));
    this.end = new Map(Object.entries(req.to).map(([p, o]) => [Number(p), BigInt(o)]));
    this.left = new Set([...this.begin.keys()].filter((p) => this.begin.get(p) < this.end.get(p)));
    this.parts = new Map([...this.begin.keys()].map((p) => [p, { count: 0, hash: createHash('sha256') }]));
  }

  /** r: partition, offset and timestamp (BigInt), key, value, headers as [name, bytes]. */
  take(r) {
    if (r.offset < this.begin.get(r.partition) || r.offset >= this.end.get(r.partition)) return;
    const part = this.parts.get(r.partition);
    part.count++;
    part.hash.update(canonical(r));
    if (r.offset + 1n >= this.end.get(r.partition)) this.left.delete(r.partition);
  }

  async wait(req) {
    const limit = Date.now() + (req.timeout ?? WAIT_MS / 1000) * 1000;
    while (this.left.size && Date.now() < limit && !this.error) await sleep(10);
  }

  result() {
    if (this.error) throw this.error;
    if (this.left.size) throw new Error(`partitions ${[...this.left]} did not come to their end`);
    return { partitions: Object.fromEntries([...this.parts].map(
      ([p, { count, hash }]) => [p, { count, sha256: hash.digest('hex') }])) };
  }
}

/** What the members of a group have read and committed between them, and when they may end. */
export class Progress {
  constructor(req) {
    const from = req.from ?? {};
    this.ends = Object.entries(req.ends).filter(([p, o]) => o > (from[p] ?? 0)).map(([p, o]) => [Number(p), o]);
    this.limit = Date.now() + (req.timeout ?? 40) * 1000;
    this.seen = new Set();
    this.committed = new Map();
    this.assigned = Array.from({ length: req.members }, () => new Set());
    this.lastError = null;
  }

  took(partition, offset) {
    this.seen.add(`${partition}:${offset}`);
  }

  complete() {
    const owned = this.assigned.flatMap((a) => [...a]);
    const shared = this.assigned.every((a) => a.size) && new Set(owned).size === owned.length;
    return shared && this.ends.every(([p, o]) => (this.committed.get(p) ?? 0) >= o);
  }

  finished() {
    return this.complete() || Date.now() > this.limit || Boolean(this.fatal);
  }

  async wait() {
    while (!this.finished()) await sleep(20);
  }

  /** The answer; taken before the members leave. */
  result() {
    if (this.fatal) throw this.fatal;
    if (!this.complete()) {
      throw new Error(`assigned ${JSON.stringify(this.assigned.map((a) => [...a]))}, committed ${
        JSON.stringify([...this.committed])} of ${JSON.stringify(this.ends)}, last error of a commit: ${this.lastError}`);
    }
    return { members: this.assigned.map((a) => [...a].sort()), records: [...this.seen].map((s) => s.split(':').map(Number)) };
  }
}

/** The text of an error with its causes: some clients say "Failed" and hide the broker's code. */
function textOf(e, depth = 0) {
  const inner = [...(e?.errors ?? []), ...(e?.groups ?? []).map((g) => g.error), ...(e?.cause ? [e.cause] : []), ...(e?.originalError ? [e.originalError] : [])];
  const own = [e?.name, e?.apiId, e?.type, e?.message].filter(Boolean).join(': ') || String(e);
  return depth > 4 ? own : [own, ...inner.map((i) => textOf(i, depth + 1))].join(' <- ');
}

const number = (_key, value) => (typeof value === 'bigint' ? Number(value) : value);

export async function serve(handlers) {
  for await (const line of createInterface({ input: process.stdin })) {
    const req = JSON.parse(line);
    let answer;
    try {
      if (!handlers[req.do]) throw new Lacking('not in this client');
      answer = { ok: true, ...(await handlers[req.do](req)) };
    } catch (e) {
      answer = e instanceof Lacking ? { ok: false, lacking: e.message } : { ok: false, error: textOf(e) };
      if (!(e instanceof Lacking)) console.error(e);
    }
    process.stdout.write(`${JSON.stringify(answer, number)}\n`);
  }
  process.exit(0);
}

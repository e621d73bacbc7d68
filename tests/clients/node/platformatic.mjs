// SPDX-License-Identifier: Apache-2.0

// @platformatic/kafka behind the driver contract: platformatic.mjs BOOTSTRAP.
import { pathToFileURL } from 'node:url';

import { Lacking, Progress, Taker, WAIT_MS, readRecords, serve, version } from './driver.mjs';

const { Admin, Consumer, Producer, cooperativeStickyAssigner } = await import(
  pathToFileURL(`${process.env.SLT_NODE_MODULES}/@platformatic/kafka/dist/index.js`));

const BASE = { clientId: 'sluice-matrix', bootstrapBrokers: [process.argv[2]], timeout: WAIT_MS, retries: 3,
  retryDelay: 100, metadataMaxAge: 100 };
const TOPIC = 2; // ConfigResourceTypes.TOPIC
const AT = { latest: -1n, earliest: -2n, max: -3n };
const admin = new Admin(BASE);

const hello = () => ({ client: '@platformatic/kafka', version: version('@platformatic/kafka'), cooperative: true,
  static: false });

async function produce(req) {
  const producer = new Producer({ ...BASE, autocreateTopics: false });
  try {
    const messages = readRecords(req.file).map((r) => ({ topic: req.topic, key: r.key, value: r.value,
      timestamp: BigInt(r.timestamp), headers: new Map(r.headers.map(([n, v]) => [Buffer.from(n), v])) }));
    await producer.send({ messages, compression: req.codec, acks: { 0: 0, 1: 1, all: -1 }[req.acks],
      idempotent: !!req.idempotent });
    return { sent: messages.length };
  } finally {
    await producer.close();
  }
}

const recordOf = (m) => ({ partition: m.partition, offset: m.offset, timestamp: m.timestamp, key: m.key, value: m.value,
  headers: m.headerEntries.map(([n, v]) => [n.toString(), v]) });

/** It reads as a member of a group only; by assignment means: join alone, with offsets by hand. */
async function consume(req) {
  const taker = new Taker(req);
  const consumer = new Consumer({ ...BASE, groupId: `platformatic-${req.topic}-${process.pid}-${Date.now()}`,
    maxWaitTime: 100, minBytes: 1, autocommit: false });
  try {
    const stream = await consumer.consume({ topics: [req.topic], mode: 'manual', offsets: [...taker.begin].map(
      ([partition, offset]) => ({ topic: req.topic, partition, offset })) });
    stream.on('data', (m) => taker.begin.has(m.partition) && taker.take(recordOf(m)));
    stream.on('error', (e) => { taker.error = e; });
    await taker.wait(req);
    await stream.close();
  } finally {
    await consumer.close(true);
  }
  return taker.result();
}

async function lookup(topic, pairs) {
  const got = await admin.listOffsets({ topics: [{ name: topic,
    partitions: pairs.map(([partitionIndex, timestamp]) => ({ partitionIndex, timestamp })) }] });
  return { offsets: Object.fromEntries(got[0].partitions.map((p) => [p.partitionIndex, Number(p.offset)])) };
}

const offsets = (req) => lookup(req.topic, req.partitions.map((p) => [p, AT[req.at]]));
const times = (req) => lookup(req.topic, Object.entries(req.ts).map(([p, t]) => [Number(p), BigInt(t)]));

async function member(req, index, progress) {
  const consumer = new Consumer({ ...BASE, groupId: req.group, sessionTimeout: 10000, heartbeatInterval: 500,
    rebalanceTimeout: 10000, maxWaitTime: 100, minBytes: 1, autocommit: false,
    ...(req.strategy === 'cooperative' ? { partitionAssigner: cooperativeStickyAssigner,
      protocols: [{ name: 'cooperative-sticky', version: 1 }] } : {}) });
  const stream = await consumer.consume({ topics: [req.topic], mode: 'committed', fallbackMode: 'earliest' });
  const pending = new Map();
  let ended = false;
  const mine = () => (consumer.assignments ?? []).find((a) => a.topic === req.topic)?.partitions ?? [];
  stream.on('data', (m) => {
    progress.took(m.partition, m.offset);
    pending.set(m.partition, Number(m.offset) + 1);
  });
  stream.on('error', (e) => { progress.fatal = e; });
  const running = (async () => {
    while (!ended) {
      await new Promise((done) => setTimeout(done, 50));
      progress.assigned[index] = new Set(mine());
      for (const p of pending.keys()) if (!progress.assigned[index].has(p)) pending.delete(p);
      if (!pending.size) continue;
      const todo = [...pending];
      try {
        await consumer.commit({ offsets: todo.map(([partition, o]) => ({ topic: req.topic, partition,
          offset: BigInt(o), leaderEpoch: -1 })) });
        for (const [p, o] of todo) {
          progress.committed.set(p, o);
          if (pending.get(p) === o) pending.delete(p);
        }
      } catch (e) {
        progress.lastError = e;
      }
    }
  })();
  return async () => {
    ended = true;
    await running;
    await stream.close();
    await consumer.close(true);
  };
}

async function group(req) {
  if (req.instances) throw new Lacking('leaves the group when it closes, whether it has an instance id or not');
  const progress = new Progress(req);
  const leave = await Promise.all(Array.from({ length: req.members }, (_, i) => member(req, i, progress)));
  try {
    await progress.wait();
    return progress.result();
  } finally {
    await Promise.all(leave.map((f) => f()));
  }
}

async function committed(req) {
  const [g] = await admin.listConsumerGroupOffsets({ groups: [req.group] });
  const t = g.topics.find((x) => x.name === req.topic);
  return { offsets: Object.fromEntries((t?.partitions ?? []).map((p) => [p.partitionIndex, Number(p.committedOffset)])) };
}

async function create(req) {
  await admin.createTopics({ topics: [req.topic], partitions: req.partitions, replicas: 1,
    configs: Object.entries(req.configs ?? {}).map(([name, value]) => ({ name, value })) });
}

async function describe(req) {
  const { topics } = await admin.metadata({ topics: [req.topic], forceUpdate: true });
  return { partitions: topics.get(req.topic).partitionsCount };
}

const grow = (req) => admin.createPartitions({ topics: [{ name: req.topic, count: req.total }] });

async function configs(req) {
  const [got] = await admin.describeConfigs({ resources: [{ resourceType: TOPIC, resourceName: req.topic }] });
  return { configs: Object.fromEntries(got.configs.map((c) => [c.name, c.value])) };
}

const alter = (req) => admin.incrementalAlterConfigs({ resources: [{ resourceType: TOPIC, resourceName: req.topic,
  configs: Object.entries(req.set).map(([name, value]) => ({ name, value, configOperation: 0 })) }] });

async function deleteRecords(req) {
  const partitions = Object.entries(req.before).map(([p, o]) => ({ partition: Number(p), offset: BigInt(o) }));
  const [got] = await admin.deleteRecords({ topics: [{ name: req.topic, partitions }] });
  return { low: Object.fromEntries(got.partitions.map((p) => [p.partition, Number(p.lowWatermark)])) };
}

const groups = async () => ({ groups: [...(await admin.listGroups()).keys()] });

async function describeGroup(req) {
  const d = (await admin.describeGroups({ groups: [req.group] })).get(req.group);
  return { state: d.state, members: d.members.size };
}

const deleteGroup = (req) => admin.deleteGroups({ groups: [req.group] });
const deleteTopic = (req) => admin.deleteTopics({ topics: [req.topic] });

await serve({ hello, produce, consume, offsets, times, group, committed, create, describe, grow, configs, alter,
  delete_records: deleteRecords, groups, describe_group: describeGroup, delete_group: deleteGroup,
  delete_topic: deleteTopic });

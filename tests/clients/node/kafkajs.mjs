// SPDX-License-Identifier: Apache-2.0

// KafkaJS behind the driver contract: kafkajs.mjs BOOTSTRAP. Its codecs come from elsewhere, as its
// manual has it: snappy from kafkajs-snappy, lz4 from a WebAssembly build, zstd from Node itself.
import zlib from 'node:zlib';

import { Lacking, Progress, Taker, WAIT_MS, readRecords, require, serve, version } from './driver.mjs';

const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, PartitionAssigners, Partitioners, logLevel } =
  require('kafkajs');
const { lz4Compress, lz4Decompress } = require('@platformatic/wasm-utils');
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy');
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (encoder) => lz4Compress(encoder.buffer),
  decompress: async (data) => lz4Decompress(data),
});
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => zlib.zstdCompressSync(encoder.buffer),
  decompress: async (data) => zlib.zstdDecompressSync(data),
});

const CODECS = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD };
const kafka = new Kafka({ clientId: 'sluice-matrix', brokers: [process.argv[2]], logLevel: logLevel.NOTHING,
  requestTimeout: WAIT_MS, retry: { retries: 3, initialRetryTime: 100 } });
const admin = kafka.admin();
await admin.connect();

const hello = () => ({ client: 'kafkajs', version: version('kafkajs'), cooperative: false, static: false,
  null_headers: false });

/** Its headers are an object: a name twice becomes an array. */
function headersOf(list) {
  const out = {};
  for (const [name, value] of list) out[name] = name in out ? [].concat(out[name], value) : value;
  return out;
}

const headerList = (headers) =>
  Object.entries(headers ?? {}).flatMap(([name, v]) => (Array.isArray(v) ? v : [v]).map((one) => [name, one]));

async function produce(req) {
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, idempotent: !!req.idempotent,
    ...(req.idempotent ? { maxInFlightRequests: 1 } : {}), retry: { retries: 2 } });
  await producer.connect();
  try {
    const messages = readRecords(req.file).map((r) => ({ key: r.key, value: r.value, headers: headersOf(r.headers),
      timestamp: String(r.timestamp) }));
    await producer.send({ topic: req.topic, compression: CODECS[req.codec], acks: { 0: 0, 1: 1, all: -1 }[req.acks],
      messages });
    return { sent: messages.length };
  } finally {
    await producer.disconnect();
  }
}

/** It reads as a member of a group only; by assignment means: join alone, then seek. */
async function consume(req) {
  const taker = new Taker(req);
  const consumer = kafka.consumer({ groupId: `kafkajs-${req.topic}-${process.pid}-${Date.now()}`,
    maxWaitTimeInMs: 100 });
  try {
    await consumer.connect();
    await consumer.subscribe({ topics: [req.topic], fromBeginning: true });
    await consumer.run({ autoCommit: false, eachMessage: async ({ partition, message: m }) => {
      if (!taker.begin.has(partition)) return;
      taker.take({ partition, offset: BigInt(m.offset), timestamp: BigInt(m.timestamp), key: m.key, value: m.value,
        headers: headerList(m.headers) });
    } });
    for (const [partition, offset] of taker.begin) {
      consumer.seek({ topic: req.topic, partition, offset: String(offset) });
    }
    await taker.wait(req);
  } finally {
    await consumer.disconnect();
  }
  return taker.result();
}

async function offsets(req) {
  if (req.at === 'max') throw new Lacking('no lookup of the highest timestamp');
  const got = await admin.fetchTopicOffsets(req.topic);
  return { offsets: Object.fromEntries(got.filter((p) => req.partitions.includes(p.partition)).map(
    (p) => [p.partition, Number(req.at === 'earliest' ? p.low : p.high)])) };
}

/** It gives the log's end where no record is that young, so it cannot say "none". */
async function times(req) {
  const out = {};
  for (const [p, t] of Object.entries(req.ts)) {
    const got = await admin.fetchTopicOffsetsByTimestamp(req.topic, t);
    out[p] = Number(got.find((x) => x.partition === Number(p)).offset);
  }
  return { offsets: out, none_is_end: true };
}

async function member(req, index, progress) {
  const consumer = kafka.consumer({ groupId: req.group, sessionTimeout: 10000, heartbeatInterval: 500,
    maxWaitTimeInMs: 100, partitionAssigners: [PartitionAssigners.roundRobin] });
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    progress.assigned[index] = new Set(payload.memberAssignment[req.topic] ?? []);
  });
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (!payload.restart) progress.fatal = payload.error;
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [req.topic], fromBeginning: true });
  await consumer.run({ autoCommit: false, eachBatch: async ({ batch, heartbeat }) => {
    for (const m of batch.messages) progress.took(batch.partition, m.offset);
    const next = Number(batch.lastOffset()) + 1;
    try {
      await consumer.commitOffsets([{ topic: req.topic, partition: batch.partition, offset: String(next) }]);
      progress.committed.set(batch.partition, next);
    } catch (e) {
      progress.lastError = e;
      throw e;
    }
    await heartbeat();
  } });
  return consumer;
}

async function group(req) {
  if (req.strategy === 'cooperative') throw new Lacking('no cooperative assignor');
  if (req.instances) throw new Lacking('no static membership');
  const progress = new Progress(req);
  const members = await Promise.all(Array.from({ length: req.members }, (_, i) => member(req, i, progress)));
  try {
    await progress.wait();
    return progress.result();
  } finally {
    await Promise.all(members.map((m) => m.disconnect()));
  }
}

async function committed(req) {
  const got = await admin.fetchOffsets({ groupId: req.group, topics: [req.topic] });
  return { offsets: Object.fromEntries(got[0].partitions.filter((p) => p.offset !== '-1').map(
    (p) => [p.partition, Number(p.offset)])) };
}

async function create(req) {
  const configEntries = Object.entries(req.configs ?? {}).map(([name, value]) => ({ name, value }));
  const done = await admin.createTopics({ timeout: WAIT_MS, topics: [{ topic: req.topic,
    numPartitions: req.partitions, replicationFactor: 1, configEntries }] });
  if (!done) throw new Error('createTopics: the topic exists');
}

async function describe(req) {
  const { topics } = await admin.fetchTopicMetadata({ topics: [req.topic] });
  return { partitions: topics[0].partitions.length };
}

const grow = (req) => admin.createPartitions({ topicPartitions: [{ topic: req.topic, count: req.total }] }).then(() => ({}));

async function configs(req) {
  const { resources } = await admin.describeConfigs({ includeSynonyms: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: req.topic }] });
  return { configs: Object.fromEntries(resources[0].configEntries.map((e) => [e.configName, e.configValue])) };
}

/** The only alteration it has replaces the whole set: what shall stay must be given too. */
async function alter(req) {
  const configEntries = Object.entries({ ...req.keep, ...req.set }).map(([name, value]) => ({ name, value }));
  await admin.alterConfigs({ validateOnly: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: req.topic, configEntries }] });
}

async function deleteRecords(req) {
  const partitions = Object.entries(req.before).map(([p, o]) => ({ partition: Number(p), offset: String(o) }));
  await admin.deleteTopicRecords({ topic: req.topic, partitions });
}

const groups = async () => ({ groups: (await admin.listGroups()).groups.map((g) => g.groupId) });

async function describeGroup(req) {
  const { groups: [d] } = await admin.describeGroups([req.group]);
  return { state: d.state, members: d.members.length };
}

const deleteGroup = (req) => admin.deleteGroups([req.group]).then(() => ({}));
const deleteTopic = (req) => admin.deleteTopics({ topics: [req.topic], timeout: WAIT_MS }).then(() => ({}));

await serve({ hello, produce, consume, offsets, times, group, committed, create, describe, grow, configs, alter,
  delete_records: deleteRecords, groups, describe_group: describeGroup, delete_group: deleteGroup,
  delete_topic: deleteTopic });

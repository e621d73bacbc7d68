/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gen.java - writes requests.txt: a conversation in bytes, each message made by Apache Kafka's own
 * classes. See README.md.
 */
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.message.ApiVersionsRequestData;
import org.apache.kafka.common.message.ApiVersionsResponseData;
import org.apache.kafka.common.message.FetchRequestData;
import org.apache.kafka.common.message.FetchResponseData;
import org.apache.kafka.common.message.InitProducerIdRequestData;
import org.apache.kafka.common.message.InitProducerIdResponseData;
import org.apache.kafka.common.message.ListOffsetsRequestData;
import org.apache.kafka.common.message.ListOffsetsResponseData;
import org.apache.kafka.common.message.MetadataRequestData;
import org.apache.kafka.common.message.MetadataResponseData;
import org.apache.kafka.common.message.ProduceRequestData;
import org.apache.kafka.common.message.ProduceResponseData;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MutableRecordBatch;
import org.apache.kafka.common.record.SimpleRecord;

public class Gen {
    static final long TS = 1_700_000_000_000L;
    static final int PORT = 9092, PARTITIONS = 2;
    static final String HOST = "127.0.0.1", CLUSTER = "fakefakefakefakefake_A";
    /* what is advertised: key, from, to */
    static final int[][] TABLE = {{0, 0, 9}, {1, 4, 12}, {2, 1, 7}, {3, 0, 12}, {8, 2, 8}, {9, 1, 8},
        {10, 0, 4}, {11, 0, 9}, {12, 0, 4}, {13, 0, 5}, {14, 0, 5}, {15, 0, 5}, {16, 0, 5}, {18, 0, 4},
        {19, 2, 7}, {20, 1, 6}, {21, 0, 2}, {22, 0, 4}, {23, 2, 4}, {29, 1, 3}, {32, 1, 4}, {33, 0, 2},
        {35, 1, 4}, {37, 0, 3}, {42, 0, 2}, {44, 0, 1}, {46, 0, 0}, {47, 0, 0}, {48, 0, 1}, {60, 0, 1}};

    static int correlation = 1000;

    static String hex(ByteBuffer... parts) {
        StringBuilder sb = new StringBuilder();
        for (ByteBuffer b : parts)
            for (ByteBuffer d = b.duplicate(); d.hasRemaining();)
                sb.append(String.format("%02x", d.get()));
        return sb.toString();
    }

    static void request(ApiKeys key, int version, ApiMessage body, String what) {
        short hv = key.requestHeaderVersion((short) version);
        RequestHeaderData h = new RequestHeaderData().setRequestApiKey(key.id)
            .setRequestApiVersion((short) version).setCorrelationId(++correlation).setClientId("gen");
        System.out.println("# " + key.name + " v" + version + (what.isEmpty() ? "" : ": " + what));
        System.out.println("> " + hex(MessageUtil.toByteBuffer(h, hv),
                                      MessageUtil.toByteBuffer(body, (short) version)));
    }

    static void response(ApiKeys key, int version, ApiMessage body) {
        short hv = key.responseHeaderVersion((short) version);
        ResponseHeaderData h = new ResponseHeaderData().setCorrelationId(correlation);
        System.out.println("< " + hex(MessageUtil.toByteBuffer(h, hv),
                                      MessageUtil.toByteBuffer(body, (short) version)));
    }

    static byte[] idBytes(String name) {
        byte[] id = new byte[16];
        Arrays.fill(id, (byte) 0xa5);
        byte[] n = name.getBytes(StandardCharsets.UTF_8);
        System.arraycopy(n, 0, id, 0, Math.min(16, n.length));
        return id;
    }

    static Uuid id(String name) {
        ByteBuffer b = ByteBuffer.wrap(idBytes(name));
        return new Uuid(b.getLong(), b.getLong());
    }

    /* ---- ApiVersions ---- */

    static ApiVersionsResponseData versions(int err) {
        ApiVersionsResponseData d = new ApiVersionsResponseData().setErrorCode((short) err);
        if (err != 42)
            for (int[] row : TABLE)
                d.apiKeys().add(new ApiVersionsResponseData.ApiVersion().setApiKey((short) row[0])
                    .setMinVersion((short) row[1]).setMaxVersion((short) row[2]));
        return d;
    }

    static void apiVersions() {
        for (int v = 0; v <= 4; v++) {
            ApiVersionsRequestData q = new ApiVersionsRequestData();
            if (v >= 3)
                q.setClientSoftwareName("gen-1.x").setClientSoftwareVersion("3.9.1");
            request(ApiKeys.API_VERSIONS, v, q, "");
            response(ApiKeys.API_VERSIONS, v, versions(0));
        }
        request(ApiKeys.API_VERSIONS, 3, new ApiVersionsRequestData()
            .setClientSoftwareName("-bad").setClientSoftwareVersion("1"), "bad software name");
        response(ApiKeys.API_VERSIONS, 3, versions(42));
        /* a version from the future: only the first bytes of its header are known */
        ByteBuffer b = ByteBuffer.allocate(14);
        b.putShort((short) 18).putShort((short) 99).putInt(++correlation).putShort((short) -1)
            .putInt(0x01020304).flip();
        System.out.println("# API_VERSIONS v99: answered in version 0");
        System.out.println("> " + hex(b));
        response(ApiKeys.API_VERSIONS, 0, versions(35));
    }

    /* ---- Metadata ---- */

    static MetadataResponseData metadata() {
        MetadataResponseData d = new MetadataResponseData().setClusterId(CLUSTER).setControllerId(1);
        d.brokers().add(new MetadataResponseData.MetadataResponseBroker().setNodeId(1).setHost(HOST)
            .setPort(PORT));
        return d;
    }

    static MetadataResponseData.MetadataResponseTopic known(String name) {
        MetadataResponseData.MetadataResponseTopic t = new MetadataResponseData.MetadataResponseTopic()
            .setName(name).setTopicId(id(name));
        for (int p = 0; p < PARTITIONS; p++)
            t.partitions().add(new MetadataResponseData.MetadataResponsePartition()
                .setPartitionIndex(p).setLeaderId(1).setLeaderEpoch(0)
                .setReplicaNodes(Collections.singletonList(1))
                .setIsrNodes(Collections.singletonList(1)));
        return t;
    }

    static MetadataRequestData wanted(String... names) {
        List<MetadataRequestData.MetadataRequestTopic> l = new ArrayList<>();
        for (String n : names)
            l.add(new MetadataRequestData.MetadataRequestTopic().setName(n));
        return new MetadataRequestData().setTopics(l);
    }

    static void metadatas() {
        for (int v = 0; v <= 12; v++) {
            request(ApiKeys.METADATA, v, wanted("alpha"), v == 0 ? "creates the topic" : "");
            MetadataResponseData d = metadata();
            d.topics().add(known("alpha"));
            response(ApiKeys.METADATA, v, d);
        }
        for (int v = 0; v <= 12; v += 3) {
            request(ApiKeys.METADATA, v, new MetadataRequestData()
                .setTopics(v == 0 ? new ArrayList<>() : null), "all topics");
            MetadataResponseData d = metadata();
            d.topics().add(known("alpha"));
            response(ApiKeys.METADATA, v, d);
        }
        for (int v : new int[] {1, 9}) {
            request(ApiKeys.METADATA, v, wanted(), "no topics");
            response(ApiKeys.METADATA, v, metadata());
        }
        for (int v : new int[] {4, 8, 12}) {
            request(ApiKeys.METADATA, v, wanted("absent", "a/b").setAllowAutoTopicCreation(false),
                "not created, and a bad name");
            MetadataResponseData d = metadata();
            d.topics().add(new MetadataResponseData.MetadataResponseTopic().setName("absent")
                .setErrorCode((short) 3));
            d.topics().add(new MetadataResponseData.MetadataResponseTopic().setName("a/b")
                .setErrorCode((short) 17));
            response(ApiKeys.METADATA, v, d);
        }
        List<MetadataRequestData.MetadataRequestTopic> ids = new ArrayList<>();
        ids.add(new MetadataRequestData.MetadataRequestTopic().setName(null).setTopicId(id("alpha")));
        ids.add(new MetadataRequestData.MetadataRequestTopic().setName(null).setTopicId(id("nobody")));
        request(ApiKeys.METADATA, 12, new MetadataRequestData().setTopics(ids), "by id");
        MetadataResponseData d = metadata();
        d.topics().add(known("alpha"));
        d.topics().add(new MetadataResponseData.MetadataResponseTopic().setName(null)
            .setTopicId(id("nobody")).setErrorCode((short) 100));
        response(ApiKeys.METADATA, 12, d);
    }

    /* ---- InitProducerId ---- */

    static void initProducerIds() {
        for (int v = 0; v <= 4; v++) {
            request(ApiKeys.INIT_PRODUCER_ID, v, new InitProducerIdRequestData()
                .setTransactionalId(null).setTransactionTimeoutMs(60000), "");
            response(ApiKeys.INIT_PRODUCER_ID, v, new InitProducerIdResponseData()
                .setProducerId(4000 + v).setProducerEpoch((short) 0));
            request(ApiKeys.INIT_PRODUCER_ID, v, new InitProducerIdRequestData()
                .setTransactionalId("tx").setTransactionTimeoutMs(60000), "no transactions here");
            response(ApiKeys.INIT_PRODUCER_ID, v, new InitProducerIdResponseData()
                .setErrorCode((short) 35).setProducerId(-1).setProducerEpoch((short) -1));
        }
    }

    /* ---- Produce and Fetch ---- */

    static final List<ByteBuffer> log = new ArrayList<>(); /* alpha-0, as it must be stored */

    static MemoryRecords batch(CompressionType codec, int n) {
        SimpleRecord[] r = new SimpleRecord[n];
        for (int i = 0; i < n; i++)
            r[i] = new SimpleRecord(TS + log.size() * 10 + i, ("key" + i).getBytes(),
                                    ("value " + "abc".repeat(20) + i).getBytes());
        return MemoryRecords.withRecords(Compression.of(codec).build(), r);
    }

    static int stored() {
        int n = 0;
        for (ByteBuffer b : log)
            n += MemoryRecords.readableRecords(b.duplicate()).batches().iterator().next().countOrNull();
        return n;
    }

    /* What the log holds afterwards: base offset and leader epoch set, nothing else. */
    static void store(MemoryRecords r, int n) {
        int base = stored();
        ByteBuffer copy = ByteBuffer.allocate(r.sizeInBytes());
        copy.put(r.buffer().duplicate()).flip();
        MutableRecordBatch b = MemoryRecords.readableRecords(copy).batches().iterator().next();
        b.setLastOffset(base + n - 1);
        b.setPartitionLeaderEpoch(0);
        log.add(copy);
    }

    static ProduceRequestData produce(int acks, String topic, int partition, MemoryRecords r) {
        ProduceRequestData.TopicProduceData t = new ProduceRequestData.TopicProduceData().setName(topic);
        t.partitionData().add(new ProduceRequestData.PartitionProduceData().setIndex(partition)
            .setRecords(r));
        ProduceRequestData d = new ProduceRequestData().setAcks((short) acks).setTimeoutMs(1000);
        d.topicData().add(t);
        return d;
    }

    static ProduceResponseData produced(String topic, int partition, int err, long base, String msg) {
        ProduceResponseData.TopicProduceResponse t =
            new ProduceResponseData.TopicProduceResponse().setName(topic);
        t.partitionResponses().add(new ProduceResponseData.PartitionProduceResponse()
            .setIndex(partition).setErrorCode((short) err).setBaseOffset(base)
            .setLogAppendTimeMs(-1).setLogStartOffset(err == 0 ? 0 : -1).setErrorMessage(msg));
        ProduceResponseData d = new ProduceResponseData();
        d.responses().add(t);
        return d;
    }

    static void produces() {
        CompressionType[] codecs = {CompressionType.NONE, CompressionType.GZIP, CompressionType.SNAPPY,
            CompressionType.LZ4, CompressionType.ZSTD, CompressionType.NONE, CompressionType.LZ4};
        for (int v = 3; v <= 9; v++) {
            CompressionType codec = codecs[v - 3];
            int n = v - 1;
            MemoryRecords r = batch(codec, n);
            int base = stored();
            request(ApiKeys.PRODUCE, v, produce(v % 2 == 0 ? 1 : -1, "alpha", 0, r), codec.name);
            response(ApiKeys.PRODUCE, v, produced("alpha", 0, 0, base, null));
            store(r, n);
            request(ApiKeys.PRODUCE, v, produce(1, "nobody", 0, batch(CompressionType.NONE, 1)),
                "unknown topic");
            response(ApiKeys.PRODUCE, v, produced("nobody", 0, 3, -1, null));
        }
        MemoryRecords r = batch(CompressionType.NONE, 1);
        request(ApiKeys.PRODUCE, 9, produce(0, "alpha", 0, r), "acks=0");
        System.out.println("-");
        store(r, 1);
        request(ApiKeys.PRODUCE, 9, produce(2, "alpha", 0, r), "acks=2");
        response(ApiKeys.PRODUCE, 9, produced("alpha", 0, 21, -1, null));
        for (int v : new int[] {7, 8, 9}) {
            MemoryRecords bad = batch(CompressionType.NONE, 1);
            bad.buffer().put(70, (byte) (bad.buffer().get(70) ^ 1));
            request(ApiKeys.PRODUCE, v, produce(1, "alpha", 1, bad), "bad checksum");
            response(ApiKeys.PRODUCE, v, produced("alpha", 1, 2, -1,
                v >= 8 ? "checksum of the batch does not match" : null));
        }
        request(ApiKeys.PRODUCE, 6, produce(1, "alpha", 1, batch(CompressionType.ZSTD, 1)),
            "zstd before version 7");
        response(ApiKeys.PRODUCE, 6, produced("alpha", 1, 76, -1, null));
    }

    static FetchRequestData.FetchTopic want(String topic, int partition, long offset, int max, int epoch) {
        FetchRequestData.FetchTopic t = new FetchRequestData.FetchTopic().setTopic(topic);
        t.partitions().add(new FetchRequestData.FetchPartition().setPartition(partition)
            .setFetchOffset(offset).setPartitionMaxBytes(max).setCurrentLeaderEpoch(epoch)
            .setLogStartOffset(-1).setLastFetchedEpoch(-1));
        return t;
    }

    static FetchRequestData fetch(int v, int isolation, FetchRequestData.FetchTopic... t) {
        FetchRequestData d = new FetchRequestData().setReplicaId(-1).setMaxWaitMs(100).setMinBytes(1)
            .setMaxBytes(1 << 20).setIsolationLevel((byte) isolation);
        if (v >= 7)
            d.setSessionId(0).setSessionEpoch(isolation == 0 ? 0 : -1);
        d.topics().addAll(Arrays.asList(t));
        return d;
    }

    static FetchResponseData.FetchableTopicResponse got(String topic, int partition, int err, int isolation,
                                                        ByteBuffer... batches) {
        int size = 0;
        for (ByteBuffer b : batches)
            size += b.remaining();
        ByteBuffer all = ByteBuffer.allocate(size);
        for (ByteBuffer b : batches)
            all.put(b.duplicate());
        all.flip();
        long end = err != 0 ? -1 : partition == 0 ? stored() : 0;
        FetchResponseData.FetchableTopicResponse t =
            new FetchResponseData.FetchableTopicResponse().setTopic(topic);
        t.partitions().add(new FetchResponseData.PartitionData().setPartitionIndex(partition)
            .setErrorCode((short) err).setHighWatermark(end).setLastStableOffset(end)
            .setLogStartOffset(err != 0 ? -1 : 0).setPreferredReadReplica(-1)
            .setAbortedTransactions(isolation == 0 ? null : new ArrayList<>())
            .setRecords(MemoryRecords.readableRecords(all)));
        return t;
    }

    static FetchResponseData fetched(int err, FetchResponseData.FetchableTopicResponse... t) {
        FetchResponseData d = new FetchResponseData().setErrorCode((short) err).setSessionId(0);
        d.responses().addAll(Arrays.asList(t));
        return d;
    }

    static void fetches() {
        ByteBuffer[] all = log.toArray(new ByteBuffer[0]);
        for (int v = 4; v <= 12; v++) {
            int iso = v % 2;
            request(ApiKeys.FETCH, v, fetch(v, iso, want("alpha", 0, 1, 1, -1)),
                "one batch in spite of max_bytes 1, from its middle");
            response(ApiKeys.FETCH, v, fetched(0, got("alpha", 0, 0, iso, all[0])));
            request(ApiKeys.FETCH, v, fetch(v, iso, want("alpha", 1, 0, 1000, -1),
                want("alpha", 0, 0, 1 << 20, -1)), "everything");
            response(ApiKeys.FETCH, v, fetched(0, got("alpha", 1, 0, iso), got("alpha", 0, 0, iso, all)));
            request(ApiKeys.FETCH, v, fetch(v, iso, want("nobody", 0, 0, 1000, -1),
                want("alpha", 0, stored(), 1000, -1)), "an unknown topic; the end, after max_wait");
            response(ApiKeys.FETCH, v, fetched(0, got("nobody", 0, 3, iso), got("alpha", 0, 0, iso)));
            request(ApiKeys.FETCH, v, fetch(v, iso, want("alpha", 0, 9999, 1000, -1)), "out of range");
            response(ApiKeys.FETCH, v, fetched(0, got("alpha", 0, 1, iso)));
        }
        for (int v : new int[] {9, 12}) {
            request(ApiKeys.FETCH, v, fetch(v, 0, want("alpha", 0, 0, 1000, 7)), "leader epoch of the future");
            response(ApiKeys.FETCH, v, fetched(0, got("alpha", 0, 75, 0)));
        }
        request(ApiKeys.FETCH, 11, fetch(11, 0).setSessionId(77).setSessionEpoch(3), "session nobody gave out");
        response(ApiKeys.FETCH, 11, fetched(70));
    }

    /* ---- ListOffsets ---- */

    static void listOffsets() {
        long[] wants = {-1, -2, TS + 10, TS + 1_000_000, -99, -3};
        for (int v = 1; v <= 7; v++) {
            ListOffsetsRequestData.ListOffsetsTopic t =
                new ListOffsetsRequestData.ListOffsetsTopic().setName("alpha");
            ListOffsetsResponseData.ListOffsetsTopicResponse rt =
                new ListOffsetsResponseData.ListOffsetsTopicResponse().setName("alpha");
            for (long w : wants) {
                t.partitions().add(new ListOffsetsRequestData.ListOffsetsPartition().setPartitionIndex(0)
                    .setTimestamp(w).setCurrentLeaderEpoch(-1));
                ListOffsetsResponseData.ListOffsetsPartitionResponse p =
                    new ListOffsetsResponseData.ListOffsetsPartitionResponse().setPartitionIndex(0)
                    .setOffset(-1).setTimestamp(-1).setLeaderEpoch(-1);
                if (w == -1)
                    p.setOffset(stored()).setLeaderEpoch(0);
                else if (w == -2)
                    p.setOffset(0).setLeaderEpoch(0);
                else if (w == TS + 10) /* the first record of the second batch */
                    p.setOffset(2).setTimestamp(TS + 10).setLeaderEpoch(0);
                else if (w == -99 || (w == -3 && v < 7))
                    p.setErrorCode((short) 35);
                else if (w == -3) /* the eighth batch, one record */
                    p.setOffset(stored() - 1).setTimestamp(TS + 70).setLeaderEpoch(0);
                if (v < 4)
                    p.setLeaderEpoch(-1); /* not there yet */
                rt.partitions().add(p);
            }
            request(ApiKeys.LIST_OFFSETS, v, new ListOffsetsRequestData().setReplicaId(-1)
                .setTopics(Collections.singletonList(t)), "");
            response(ApiKeys.LIST_OFFSETS, v, new ListOffsetsResponseData()
                .setTopics(Collections.singletonList(rt)));
        }
    }

    /* ---- what closes the connection ---- */

    static void closes() {
        for (int v = 0; v <= 2; v++) {
            request(ApiKeys.PRODUCE, v, produce(1, "alpha", 0, batch(CompressionType.NONE, 1)),
                "advertised, not served");
            System.out.println("!");
        }
        request(ApiKeys.PRODUCE, 9, produce(0, "nobody", 0, batch(CompressionType.NONE, 1)),
            "acks=0 and an error");
        System.out.println("!");
    }

    public static void main(String[] args) {
        System.out.println("# Made by Gen.java; do not edit. > request, < response, - none, ! closed");
        apiVersions();
        metadatas();
        initProducerIds();
        produces();
        fetches();
        listOffsets();
        closes();
    }
}

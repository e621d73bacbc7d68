/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GenAdmin.java - writes admin.txt: the admin APIs in bytes, made by Apache Kafka's own classes.
 * See README.md.
 */
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.AlterConfigsRequestData;
import org.apache.kafka.common.message.AlterConfigsResponseData;
import org.apache.kafka.common.message.CreatePartitionsRequestData;
import org.apache.kafka.common.message.CreatePartitionsResponseData;
import org.apache.kafka.common.message.CreateTopicsRequestData;
import org.apache.kafka.common.message.CreateTopicsResponseData;
import org.apache.kafka.common.message.DeleteRecordsRequestData;
import org.apache.kafka.common.message.DeleteRecordsResponseData;
import org.apache.kafka.common.message.DeleteTopicsRequestData;
import org.apache.kafka.common.message.DeleteTopicsResponseData;
import org.apache.kafka.common.message.DescribeAclsRequestData;
import org.apache.kafka.common.message.DescribeAclsResponseData;
import org.apache.kafka.common.message.DescribeClientQuotasRequestData;
import org.apache.kafka.common.message.DescribeClientQuotasResponseData;
import org.apache.kafka.common.message.DescribeClusterRequestData;
import org.apache.kafka.common.message.DescribeClusterResponseData;
import org.apache.kafka.common.message.DescribeConfigsRequestData;
import org.apache.kafka.common.message.DescribeConfigsResponseData;
import org.apache.kafka.common.message.DescribeLogDirsRequestData;
import org.apache.kafka.common.message.DescribeLogDirsResponseData;
import org.apache.kafka.common.message.IncrementalAlterConfigsRequestData;
import org.apache.kafka.common.message.IncrementalAlterConfigsResponseData;
import org.apache.kafka.common.message.ListPartitionReassignmentsRequestData;
import org.apache.kafka.common.message.ListPartitionReassignmentsResponseData;
import org.apache.kafka.common.message.MetadataRequestData;
import org.apache.kafka.common.message.MetadataResponseData;
import org.apache.kafka.common.protocol.ApiKeys;

public class GenAdmin extends Gen {
    static final String LONG_MAX = "9223372036854775807";
    static final int BOOLEAN = 1, STRING = 2, INT = 3, LONG = 5, DOUBLE = 6, LIST = 7;

    /* A topic setting: name, value, type, the broker's name of it ("" none), changes anything */
    static class Setting {
        final String name, value, broker;
        final int type;
        final boolean effect;

        Setting(String name, String value, int type, String broker, boolean effect) {
            this.name = name;
            this.value = value;
            this.type = type;
            this.broker = broker;
            this.effect = effect;
        }
    }

    static final List<Setting> TOPIC = new ArrayList<>();

    static void set(String name, String value, int type, String broker) {
        TOPIC.add(new Setting(name, value, type, broker, true));
    }

    static void fix(String name, String value, int type, String broker) {
        TOPIC.add(new Setting(name, value, type, broker, false));
    }

    static {
        set("cleanup.policy", "delete", LIST, "log.cleanup.policy");
        fix("compression.gzip.level", "-1", INT, "compression.gzip.level");
        fix("compression.lz4.level", "9", INT, "compression.lz4.level");
        set("compression.type", "producer", STRING, "compression.type");
        fix("compression.zstd.level", "3", INT, "compression.zstd.level");
        fix("delete.retention.ms", "86400000", LONG, "log.cleaner.delete.retention.ms");
        fix("file.delete.delay.ms", "0", LONG, "log.segment.delete.delay.ms");
        fix("flush.messages", LONG_MAX, LONG, "log.flush.interval.messages");
        fix("flush.ms", "1000", LONG, "log.flush.interval.ms");
        fix("follower.replication.throttled.replicas", "", LIST, "");
        set("index.interval.bytes", "4096", INT, "log.index.interval.bytes");
        fix("leader.replication.throttled.replicas", "", LIST, "");
        fix("local.retention.bytes", "-2", LONG, "log.local.retention.bytes");
        fix("local.retention.ms", "-2", LONG, "log.local.retention.ms");
        fix("max.compaction.lag.ms", LONG_MAX, LONG, "log.cleaner.max.compaction.lag.ms");
        set("max.message.bytes", "1048588", INT, "message.max.bytes");
        fix("message.downconversion.enable", "false", BOOLEAN, "log.message.downconversion.enable");
        fix("message.format.version", "3.0-IV1", STRING, "log.message.format.version");
        set("message.timestamp.after.max.ms", LONG_MAX, LONG, "log.message.timestamp.after.max.ms");
        set("message.timestamp.before.max.ms", LONG_MAX, LONG, "log.message.timestamp.before.max.ms");
        fix("message.timestamp.difference.max.ms", LONG_MAX, LONG,
            "log.message.timestamp.difference.max.ms");
        set("message.timestamp.type", "CreateTime", STRING, "log.message.timestamp.type");
        fix("min.cleanable.dirty.ratio", "0.5", DOUBLE, "log.cleaner.min.cleanable.ratio");
        fix("min.compaction.lag.ms", "0", LONG, "log.cleaner.min.compaction.lag.ms");
        fix("min.insync.replicas", "1", INT, "min.insync.replicas");
        fix("preallocate", "false", BOOLEAN, "log.preallocate");
        fix("remote.log.copy.disable", "false", BOOLEAN, "");
        fix("remote.log.delete.on.disable", "false", BOOLEAN, "");
        fix("remote.storage.enable", "false", BOOLEAN, "");
        set("retention.bytes", "-1", LONG, "log.retention.bytes");
        set("retention.ms", "604800000", LONG, "");
        set("segment.bytes", "67108864", INT, "log.segment.bytes");
        fix("segment.index.bytes", "10485760", INT, "log.index.size.max.bytes");
        fix("segment.jitter.ms", "0", LONG, "");
        set("segment.ms", "604800000", LONG, "");
        set("sluice.acks.all", "synced", STRING, "");
        fix("unclean.leader.election.enable", "false", BOOLEAN, "unclean.leader.election.enable");
    }

    static int source(Setting s, boolean own) {
        return own ? 1 : s.name.equals("flush.ms") ? 4 : 5;
    }

    /* A topic that was deleted so often before has another id. */
    static Uuid id(String name, int deleted) {
        byte[] b = idBytes(name);
        b[15] ^= (byte) deleted;
        java.nio.ByteBuffer bb = java.nio.ByteBuffer.wrap(b);
        return new Uuid(bb.getLong(), bb.getLong());
    }

    /* ---- CreateTopics ---- */

    static CreateTopicsRequestData.CreatableTopic topic(String name, int parts, int replicas,
                                                        String... configs) {
        CreateTopicsRequestData.CreatableTopic t = new CreateTopicsRequestData.CreatableTopic()
            .setName(name).setNumPartitions(parts).setReplicationFactor((short) replicas);
        for (int i = 0; i < configs.length; i += 2)
            t.configs().mustAdd(new CreateTopicsRequestData.CreatableTopicConfig()
                .setName(configs[i]).setValue(configs[i + 1]));
        return t;
    }

    static CreateTopicsRequestData create(boolean validate, CreateTopicsRequestData.CreatableTopic... ts) {
        CreateTopicsRequestData d = new CreateTopicsRequestData().setTimeoutMs(1000)
            .setValidateOnly(validate);
        for (CreateTopicsRequestData.CreatableTopic t : ts)
            d.topics().mustAdd(t);
        return d;
    }

    static CreateTopicsResponseData.CreatableTopicResult created(int v, String name, int parts,
                                                                 String own, String value) {
        CreateTopicsResponseData.CreatableTopicResult r =
            new CreateTopicsResponseData.CreatableTopicResult().setName(name).setErrorMessage(null);
        if (v < 5)
            return r;
        r.setNumPartitions(parts).setReplicationFactor((short) 1);
        for (Setting s : TOPIC)
            r.configs().add(new CreateTopicsResponseData.CreatableTopicConfigs().setName(s.name)
                .setValue(s.name.equals(own) ? value : s.value).setReadOnly(!s.effect)
                .setConfigSource((byte) source(s, s.name.equals(own))).setIsSensitive(false));
        return r;
    }

    static CreateTopicsResponseData.CreatableTopicResult notCreated(String name, int err, String msg) {
        return new CreateTopicsResponseData.CreatableTopicResult().setName(name)
            .setErrorCode((short) err).setErrorMessage(msg);
    }

    static CreateTopicsResponseData creations(CreateTopicsResponseData.CreatableTopicResult... rs) {
        CreateTopicsResponseData d = new CreateTopicsResponseData();
        for (CreateTopicsResponseData.CreatableTopicResult r : rs)
            d.topics().mustAdd(r);
        return d;
    }

    static void createTopics() {
        for (int v = 2; v <= 7; v++) {
            String name = "new-" + v;
            request(ApiKeys.CREATE_TOPICS, v, create(false, topic(name, 3, 1, "retention.ms", "1000")), "");
            CreateTopicsResponseData.CreatableTopicResult r = created(v, name, 3, "retention.ms", "1000");
            if (v >= 7)
                r.setTopicId(id(name));
            response(ApiKeys.CREATE_TOPICS, v, creations(r));
            request(ApiKeys.CREATE_TOPICS, v, create(false, topic(name, 3, 1),
                topic("n/a", 3, 1), topic("two", 1, 2)), "refused");
            response(ApiKeys.CREATE_TOPICS, v, creations(
                notCreated(name, 36, "Topic '" + name + "' already exists."),
                notCreated("n/a", 17, "Topic name is invalid: 'n/a' contains one or more characters "
                    + "other than ASCII alphanumerics, '.', '_' and '-'"),
                notCreated("two", 38, "Unable to replicate the partition 2 time(s): The target "
                    + "replication factor of 2 cannot be reached because only 1 broker(s) are "
                    + "registered.")));
        }
        CreateTopicsRequestData.CreatableTopic t = topic("manual", -1, -1);
        for (int p = 0; p < 2; p++)
            t.assignments().add(new CreateTopicsRequestData.CreatableReplicaAssignment()
                .setPartitionIndex(p).setBrokerIds(Collections.singletonList(1)));
        request(ApiKeys.CREATE_TOPICS, 6, create(true, t, topic("defaults", -1, -1)), "validate only");
        response(ApiKeys.CREATE_TOPICS, 6, creations(created(6, "manual", 2, null, null),
            created(6, "defaults", PARTITIONS, null, null)));
        request(ApiKeys.CREATE_TOPICS, 7, create(false, topic("late", 1, 1)).setTimeoutMs(0), "no time");
        response(ApiKeys.CREATE_TOPICS, 7, creations(notCreated("late", 7, null)));
    }

    /* ---- DescribeConfigs ---- */

    static DescribeConfigsRequestData.DescribeConfigsResource resource(int type, String name, String... keys) {
        return new DescribeConfigsRequestData.DescribeConfigsResource().setResourceType((byte) type)
            .setResourceName(name).setConfigurationKeys(keys.length == 0 ? null : Arrays.asList(keys));
    }

    static DescribeConfigsRequestData describe(boolean synonyms, boolean doc,
                                               DescribeConfigsRequestData.DescribeConfigsResource... rs) {
        return new DescribeConfigsRequestData().setIncludeSynonyms(synonyms).setIncludeDocumentation(doc)
            .setResources(Arrays.asList(rs));
    }

    static DescribeConfigsResponseData.DescribeConfigsResult described(int type, String name, int err,
                                                                       String msg) {
        return new DescribeConfigsResponseData.DescribeConfigsResult().setResourceType((byte) type)
            .setResourceName(name).setErrorCode((short) err).setErrorMessage(msg);
    }

    static DescribeConfigsResponseData.DescribeConfigsSynonym synonym(String name, String value, int source) {
        return new DescribeConfigsResponseData.DescribeConfigsSynonym().setName(name).setValue(value)
            .setSource((byte) source);
    }

    static DescribeConfigsResponseData.DescribeConfigsResourceResult
            config(int v, String name, String value, boolean readOnly, int source, int type, String doc) {
        DescribeConfigsResponseData.DescribeConfigsResourceResult c =
            new DescribeConfigsResponseData.DescribeConfigsResourceResult().setName(name)
            .setValue(value).setReadOnly(readOnly).setConfigSource((byte) source).setIsSensitive(false);
        if (v >= 3)
            c.setConfigType((byte) type).setDocumentation(doc);
        return c;
    }

    static DescribeConfigsResponseData.DescribeConfigsResult allOf(int v, String name, boolean synonyms) {
        DescribeConfigsResponseData.DescribeConfigsResult r = described(2, name, 0, "");
        for (Setting s : TOPIC) {
            boolean own = s.name.equals("retention.ms");
            DescribeConfigsResponseData.DescribeConfigsResourceResult c = config(v, s.name,
                own ? "1000" : s.value, !s.effect, source(s, own), s.type, null);
            if (synonyms && own)
                c.synonyms().add(synonym(s.name, "1000", 1));
            if (synonyms && !s.broker.isEmpty())
                c.synonyms().add(synonym(s.broker, s.value, s.effect ? 5 : source(s, false)));
            r.configs().add(c);
        }
        return r;
    }

    static void describeConfigs() {
        for (int v = 1; v <= 4; v++) {
            request(ApiKeys.DESCRIBE_CONFIGS, v, describe(v % 2 == 0, false, resource(2, "new-7")), "a topic's all");
            response(ApiKeys.DESCRIBE_CONFIGS, v, new DescribeConfigsResponseData()
                .setResults(Collections.singletonList(allOf(v, "new-7", v % 2 == 0))));
            request(ApiKeys.DESCRIBE_CONFIGS, v, describe(true, v >= 3,
                resource(4, "1", "log.retention.ms", "node.id", "nobody", "broker.rack"),
                resource(2, "nobody"), resource(4, "2"),
                resource(2, "new-2", "retention.ms")), "keys, documentation, errors");
            DescribeConfigsResponseData d = new DescribeConfigsResponseData();
            DescribeConfigsResponseData.DescribeConfigsResult b = described(4, "1", 0, "");
            b.configs().add(config(v, "broker.rack", null, true, 5, STRING, "Racks are for replicas."));
            b.configs().add(config(v, "log.retention.ms", "604800000", true, 5, LONG,
                "Records older than this are deleted, in ms; -1: no limit."));
            b.configs().get(1).synonyms().add(synonym("log.retention.ms", "604800000", 5));
            b.configs().add(config(v, "node.id", "1", true, 4, INT, "This node's id."));
            b.configs().get(2).synonyms().add(synonym("node.id", "1", 4));
            d.results().add(b);
            d.results().add(described(2, "nobody", 3, ""));
            d.results().add(described(4, "2", 42,
                "Unexpected broker id, expected 1 or empty string, but received 2"));
            DescribeConfigsResponseData.DescribeConfigsResult t = described(2, "new-2", 0, "");
            t.configs().add(config(v, "retention.ms", "1000", false, 1, LONG,
                "Records older than this are deleted, in ms; -1: no limit."));
            t.configs().get(0).synonyms().add(synonym("retention.ms", "1000", 1));
            d.results().add(t);
            response(ApiKeys.DESCRIBE_CONFIGS, v, d);
        }
    }

    /* ---- AlterConfigs, IncrementalAlterConfigs ---- */

    static void alterConfigs() {
        for (int v = 0; v <= 2; v++) {
            AlterConfigsRequestData d = new AlterConfigsRequestData().setValidateOnly(v == 1);
            String[][] rs = {{"new-" + (v + 3), "segment.ms", "60000"}, {"new-2", "no.such", "1"}};
            AlterConfigsResponseData a = new AlterConfigsResponseData();
            for (String[] r : rs) {
                AlterConfigsRequestData.AlterConfigsResource x =
                    new AlterConfigsRequestData.AlterConfigsResource().setResourceType((byte) 2)
                    .setResourceName(r[0]);
                x.configs().mustAdd(new AlterConfigsRequestData.AlterableConfig().setName(r[1])
                    .setValue(r[2]));
                d.resources().mustAdd(x);
                boolean bad = r[1].equals("no.such");
                a.responses().add(new AlterConfigsResponseData.AlterConfigsResourceResponse()
                    .setResourceType((byte) 2).setResourceName(r[0])
                    .setErrorCode((short) (bad ? 40 : 0))
                    .setErrorMessage(bad ? "Unknown topic config name: no.such" : null));
            }
            request(ApiKeys.ALTER_CONFIGS, v, d, v == 1 ? "validate only" : "");
            response(ApiKeys.ALTER_CONFIGS, v, a);
            sees(v == 1 ? "1000" : "604800000", v == 1 ? "604800000" : "60000", "new-" + (v + 3));
        }
        for (int v = 0; v <= 1; v++) {
            IncrementalAlterConfigsRequestData d = new IncrementalAlterConfigsRequestData();
            IncrementalAlterConfigsRequestData.AlterConfigsResource x =
                new IncrementalAlterConfigsRequestData.AlterConfigsResource().setResourceType((byte) 2)
                .setResourceName("new-6");
            x.configs().mustAdd(new IncrementalAlterConfigsRequestData.AlterableConfig()
                .setName("retention.ms").setConfigOperation((byte) v).setValue(v == 0 ? "5000" : null));
            x.configs().mustAdd(new IncrementalAlterConfigsRequestData.AlterableConfig()
                .setName("cleanup.policy").setConfigOperation((byte) 3).setValue("compact"));
            d.resources().mustAdd(x);
            request(ApiKeys.INCREMENTAL_ALTER_CONFIGS, v, d, v == 0 ? "set" : "delete");
            IncrementalAlterConfigsResponseData a = new IncrementalAlterConfigsResponseData();
            a.responses().add(new IncrementalAlterConfigsResponseData.AlterConfigsResourceResponse()
                .setResourceType((byte) 2).setResourceName("new-6").setErrorMessage(null));
            response(ApiKeys.INCREMENTAL_ALTER_CONFIGS, v, a);
            sees(v == 0 ? "5000" : "604800000", "604800000", "new-6");
        }
    }

    /* What the settings are afterwards. */
    static void sees(String retention, String segment, String topic) {
        request(ApiKeys.DESCRIBE_CONFIGS, 4, describe(false, false,
            resource(2, topic, "retention.ms", "segment.ms")), "read back");
        DescribeConfigsResponseData.DescribeConfigsResult t = described(2, topic, 0, "");
        t.configs().add(config(4, "retention.ms", retention, false,
            retention.equals("604800000") ? 5 : 1, LONG, null));
        t.configs().add(config(4, "segment.ms", segment, false,
            segment.equals("604800000") ? 5 : 1, LONG, null));
        response(ApiKeys.DESCRIBE_CONFIGS, 4, new DescribeConfigsResponseData()
            .setResults(Collections.singletonList(t)));
    }

    /* ---- CreatePartitions ---- */

    static void createPartitions() {
        for (int v = 0; v <= 3; v++) {
            CreatePartitionsRequestData d = new CreatePartitionsRequestData().setTimeoutMs(1000)
                .setValidateOnly(v == 1);
            d.topics().mustAdd(new CreatePartitionsRequestData.CreatePartitionsTopic().setName("new-2")
                .setCount(4 + v).setAssignments(v < 2 ? null : Collections.singletonList(
                    new CreatePartitionsRequestData.CreatePartitionsAssignment()
                        .setBrokerIds(Collections.singletonList(v == 3 ? 1 : 9)))));
            d.topics().mustAdd(new CreatePartitionsRequestData.CreatePartitionsTopic().setName("nobody")
                .setCount(4).setAssignments(null));
            request(ApiKeys.CREATE_PARTITIONS, v, d, v == 1 ? "validate only" : "");
            CreatePartitionsResponseData a = new CreatePartitionsResponseData();
            /* 3 -> 4; 5 not made; 6 wants two assignments; 7 wants three */
            String few = "Attempted to add " + v + " additional partition(s), but only 1 "
                + "assignment(s) were specified.";
            a.results().add(new CreatePartitionsResponseData.CreatePartitionsTopicResult()
                .setName("new-2").setErrorCode((short) (v < 2 ? 0 : 39)).setErrorMessage(v < 2 ? null : few));
            a.results().add(new CreatePartitionsResponseData.CreatePartitionsTopicResult()
                .setName("nobody").setErrorCode((short) 3).setErrorMessage(null));
            response(ApiKeys.CREATE_PARTITIONS, v, a);
        }
    }

    /* ---- DeleteRecords, DescribeLogDirs ---- */

    static void records() {
        for (int v = 0; v <= 2; v++) {
            long[][] wants = {{0, -1, 0, 0}, {1, 0, 0, 0}, {2, 7, -1, 1}, {9, 0, -1, 3}};
            DeleteRecordsRequestData.DeleteRecordsTopic t =
                new DeleteRecordsRequestData.DeleteRecordsTopic().setName("new-3");
            DeleteRecordsResponseData.DeleteRecordsTopicResult r =
                new DeleteRecordsResponseData.DeleteRecordsTopicResult().setName("new-3");
            for (long[] w : wants) {
                t.partitions().add(new DeleteRecordsRequestData.DeleteRecordsPartition()
                    .setPartitionIndex((int) w[0]).setOffset(w[1]));
                r.partitions().mustAdd(new DeleteRecordsResponseData.DeleteRecordsPartitionResult()
                    .setPartitionIndex((int) w[0]).setLowWatermark(w[2]).setErrorCode((short) w[3]));
            }
            request(ApiKeys.DELETE_RECORDS, v, new DeleteRecordsRequestData().setTimeoutMs(1000)
                .setTopics(Collections.singletonList(t)), "");
            DeleteRecordsResponseData d = new DeleteRecordsResponseData();
            d.topics().mustAdd(r);
            response(ApiKeys.DELETE_RECORDS, v, d);
        }
    }

    static DescribeLogDirsResponseData.DescribeLogDirsTopic sizes(String name, int... parts) {
        DescribeLogDirsResponseData.DescribeLogDirsTopic t =
            new DescribeLogDirsResponseData.DescribeLogDirsTopic().setName(name);
        for (int p : parts)
            t.partitions().add(new DescribeLogDirsResponseData.DescribeLogDirsPartition()
                .setPartitionIndex(p));
        return t;
    }

    static void logDirs(int v, DescribeLogDirsResponseData.DescribeLogDirsTopic... ts) {
        DescribeLogDirsResponseData.DescribeLogDirsResult r =
            new DescribeLogDirsResponseData.DescribeLogDirsResult().setLogDir("/fake/log")
            .setTopics(Arrays.asList(ts));
        if (v >= 4)
            r.setTotalBytes(1L << 40).setUsableBytes(1L << 39);
        response(ApiKeys.DESCRIBE_LOG_DIRS, v, new DescribeLogDirsResponseData()
            .setResults(Collections.singletonList(r)));
    }

    static void describeLogDirs() {
        for (int v = 1; v <= 4; v++) {
            DescribeLogDirsRequestData d = new DescribeLogDirsRequestData();
            d.topics().mustAdd(new DescribeLogDirsRequestData.DescribableLogDirTopic().setTopic("new-4")
                .setPartitions(Arrays.asList(2, 0, 9)));
            d.topics().mustAdd(new DescribeLogDirsRequestData.DescribableLogDirTopic().setTopic("nobody")
                .setPartitions(Collections.singletonList(0)));
            request(ApiKeys.DESCRIBE_LOG_DIRS, v, d, "named partitions");
            logDirs(v, sizes("new-4", 2, 0));
        }
        request(ApiKeys.DESCRIBE_LOG_DIRS, 4, new DescribeLogDirsRequestData().setTopics(null), "all");
        logDirs(4, sizes("new-2", 0, 1, 2, 3), sizes("new-3", 0, 1, 2), sizes("new-4", 0, 1, 2),
                sizes("new-5", 0, 1, 2), sizes("new-6", 0, 1, 2), sizes("new-7", 0, 1, 2));
    }

    /* ---- what there is nothing of ---- */

    static void describeCluster() {
        for (int v = 0; v <= 1; v++) {
            request(ApiKeys.DESCRIBE_CLUSTER, v, new DescribeClusterRequestData()
                .setIncludeClusterAuthorizedOperations(v == 1), "");
            DescribeClusterResponseData d = new DescribeClusterResponseData().setErrorMessage(null)
                .setClusterId(CLUSTER).setControllerId(1)
                .setClusterAuthorizedOperations(v == 1 ? 8096 : Integer.MIN_VALUE);
            d.brokers().add(new DescribeClusterResponseData.DescribeClusterBroker().setBrokerId(1)
                .setHost(HOST).setPort(PORT));
            response(ApiKeys.DESCRIBE_CLUSTER, v, d);
        }
        request(ApiKeys.DESCRIBE_CLUSTER, 1, new DescribeClusterRequestData().setEndpointType((byte) 2),
            "of controllers");
        response(ApiKeys.DESCRIBE_CLUSTER, 1, new DescribeClusterResponseData().setErrorCode((short) 114)
            .setErrorMessage("The request was sent to an endpoint of type BROKER, but we wanted an "
                + "endpoint of type CONTROLLER").setClusterId(""));
    }

    static void reassignmentsQuotasAcls() {
        request(ApiKeys.LIST_PARTITION_REASSIGNMENTS, 0, new ListPartitionReassignmentsRequestData()
            .setTopics(null), "");
        response(ApiKeys.LIST_PARTITION_REASSIGNMENTS, 0, new ListPartitionReassignmentsResponseData()
            .setErrorMessage(null));
        for (int v = 0; v <= 1; v++) {
            DescribeClientQuotasRequestData q = new DescribeClientQuotasRequestData();
            q.components().add(new DescribeClientQuotasRequestData.ComponentData().setEntityType("user")
                .setMatchType((byte) 1).setMatch(null));
            request(ApiKeys.DESCRIBE_CLIENT_QUOTAS, v, q, "");
            response(ApiKeys.DESCRIBE_CLIENT_QUOTAS, v, new DescribeClientQuotasResponseData()
                .setErrorMessage("").setEntries(new ArrayList<>()));
            q.components().get(0).setEntityType("nobody");
            request(ApiKeys.DESCRIBE_CLIENT_QUOTAS, v, q, "unknown entity");
            response(ApiKeys.DESCRIBE_CLIENT_QUOTAS, v, new DescribeClientQuotasResponseData()
                .setErrorCode((short) 35).setErrorMessage("Unsupported entity type nobody").setEntries(null));
        }
        for (int v = 1; v <= 3; v++) {
            request(ApiKeys.DESCRIBE_ACLS, v, new DescribeAclsRequestData().setResourceTypeFilter((byte) 1)
                .setResourceNameFilter(null).setPatternTypeFilter((byte) 1).setPrincipalFilter(null)
                .setHostFilter(null).setOperation((byte) 1).setPermissionType((byte) 1), "");
            response(ApiKeys.DESCRIBE_ACLS, v, new DescribeAclsResponseData().setErrorCode((short) 54)
                .setErrorMessage("No Authorizer is configured on the broker"));
        }
    }

    /* ---- Metadata: what a client may do, and ids ---- */

    static void operations() {
        for (int v = 8; v <= 12; v++) {
            MetadataRequestData q = wanted("new-2").setIncludeTopicAuthorizedOperations(true)
                .setAllowAutoTopicCreation(false);
            if (v <= 10)
                q.setIncludeClusterAuthorizedOperations(true);
            request(ApiKeys.METADATA, v, q, "authorized operations");
            MetadataResponseData d = metadata();
            if (v <= 10)
                d.setClusterAuthorizedOperations(8096);
            MetadataResponseData.MetadataResponseTopic t = known("new-2");
            for (int p = PARTITIONS; p < 4; p++)
                t.partitions().add(t.partitions().get(0).duplicate().setPartitionIndex(p));
            d.topics().add(t.setTopicAuthorizedOperations(3576));
            response(ApiKeys.METADATA, v, d);
        }
    }

    /* ---- DeleteTopics ---- */

    static DeleteTopicsResponseData.DeletableTopicResult deleted(int v, String name, Uuid id, int err,
                                                                 String msg) {
        DeleteTopicsResponseData.DeletableTopicResult r =
            new DeleteTopicsResponseData.DeletableTopicResult().setName(name).setErrorCode((short) err);
        if (v >= 5)
            r.setErrorMessage(msg);
        if (v >= 6)
            r.setTopicId(id);
        return r;
    }

    static DeleteTopicsResponseData deletions(DeleteTopicsResponseData.DeletableTopicResult... rs) {
        DeleteTopicsResponseData d = new DeleteTopicsResponseData();
        for (DeleteTopicsResponseData.DeletableTopicResult r : rs)
            d.responses().mustAdd(r);
        return d;
    }

    static DeleteTopicsRequestData.DeleteTopicState state(String name, Uuid id) {
        return new DeleteTopicsRequestData.DeleteTopicState().setName(name).setTopicId(id);
    }

    static void deleteTopics() {
        String unknown = "This server does not host this topic-partition.";
        for (int v = 1; v <= 5; v++) {
            request(ApiKeys.DELETE_TOPICS, v, new DeleteTopicsRequestData().setTimeoutMs(1000)
                .setTopicNames(Arrays.asList("new-" + (v + 1), "nobody")), "");
            response(ApiKeys.DELETE_TOPICS, v, deletions(
                deleted(v, "new-" + (v + 1), Uuid.ZERO_UUID, 0, null),
                deleted(v, "nobody", Uuid.ZERO_UUID, 3, unknown)));
        }
        request(ApiKeys.DELETE_TOPICS, 6, new DeleteTopicsRequestData().setTimeoutMs(1000).setTopics(
            Arrays.asList(state(null, id("new-7")), state(null, id("nobody")),
                          state("both", id("nobody")))), "by id");
        response(ApiKeys.DELETE_TOPICS, 6, deletions(
            deleted(6, "new-7", id("new-7"), 0, null),
            deleted(6, null, id("nobody"), 100, "This server does not host this topic ID."),
            deleted(6, "both", id("nobody"), 42, "You may not specify both topic name and topic id.")));
        request(ApiKeys.CREATE_TOPICS, 7, create(false, topic("new-7", 1, 1)), "again, with another id");
        response(ApiKeys.CREATE_TOPICS, 7, creations(created(7, "new-7", 1, null, null)
            .setTopicId(id("new-7", 1))));
    }

    public static void main(String[] args) {
        System.out.println("# Made by GenAdmin.java; do not edit. > request, < response, - none, ! closed");
        createTopics();
        describeConfigs();
        alterConfigs();
        createPartitions();
        records();
        describeLogDirs();
        describeCluster();
        reassignmentsQuotasAcls();
        operations();
        deleteTopics();
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GenGroups.java - writes groups.txt: the APIs of groups and offsets in bytes, made by Apache
 * Kafka's own classes. See README.md.
 */
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.apache.kafka.common.message.DeleteGroupsRequestData;
import org.apache.kafka.common.message.DeleteGroupsResponseData;
import org.apache.kafka.common.message.DescribeGroupsRequestData;
import org.apache.kafka.common.message.DescribeGroupsResponseData;
import org.apache.kafka.common.message.FindCoordinatorRequestData;
import org.apache.kafka.common.message.FindCoordinatorResponseData;
import org.apache.kafka.common.message.HeartbeatRequestData;
import org.apache.kafka.common.message.HeartbeatResponseData;
import org.apache.kafka.common.message.JoinGroupRequestData;
import org.apache.kafka.common.message.JoinGroupResponseData;
import org.apache.kafka.common.message.LeaveGroupRequestData;
import org.apache.kafka.common.message.LeaveGroupResponseData;
import org.apache.kafka.common.message.ListGroupsRequestData;
import org.apache.kafka.common.message.ListGroupsResponseData;
import org.apache.kafka.common.message.MetadataResponseData;
import org.apache.kafka.common.message.OffsetCommitRequestData;
import org.apache.kafka.common.message.OffsetCommitResponseData;
import org.apache.kafka.common.message.OffsetDeleteRequestData;
import org.apache.kafka.common.message.OffsetDeleteResponseData;
import org.apache.kafka.common.message.OffsetFetchRequestData;
import org.apache.kafka.common.message.OffsetFetchResponseData;
import org.apache.kafka.common.message.OffsetForLeaderEpochRequestData;
import org.apache.kafka.common.message.OffsetForLeaderEpochResponseData;
import org.apache.kafka.common.message.SyncGroupRequestData;
import org.apache.kafka.common.message.SyncGroupResponseData;
import org.apache.kafka.common.protocol.ApiKeys;

public class GenGroups extends Gen {
    static final byte[] META = ConsumerMeta.subscription("alpha"), ASSIGNMENT = "all of it".getBytes();
    static final int SESSION = 1_800_000;

    static class ConsumerMeta { /* ConsumerProtocolSubscription of version 1 */
        static byte[] subscription(String topic) {
            ByteBuffer b = ByteBuffer.allocate(64);
            b.putShort((short) 1).putInt(1).putShort((short) topic.length()).put(topic.getBytes());
            b.putInt(-1).putInt(0);
            return Arrays.copyOf(b.array(), b.position());
        }
    }

    static int randoms = 0; /* the first ones seed a table */

    /* The server's n-th random bytes are all n. */
    static String uuid() {
        int n = ++randoms;
        return String.format("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", n, n, n, n,
                             n, n, (n & 0x0f) | 0x40, n, (n & 0x3f) | 0x80, n, n, n, n, n, n, n);
    }

    static final String[] member = new String[10]; /* of group g<i>, joined at version i */

    static String group(int i) {
        return "g" + i;
    }

    static String instance(int v) {
        return v == 8 || v == 9 ? "instance-" + v : null;
    }

    /* ---- FindCoordinator ---- */

    static void findCoordinator() {
        for (int v = 0; v <= 4; v++) {
            FindCoordinatorRequestData q = new FindCoordinatorRequestData();
            FindCoordinatorResponseData r = new FindCoordinatorResponseData();
            if (v < 4) {
                q.setKey("g0");
                r.setNodeId(1).setHost(HOST).setPort(PORT).setErrorMessage(null);
            } else {
                q.setCoordinatorKeys(Arrays.asList("g0", "g1"));
                for (String k : q.coordinatorKeys())
                    r.coordinators().add(new FindCoordinatorResponseData.Coordinator().setKey(k).setNodeId(1)
                        .setHost(HOST).setPort(PORT).setErrorMessage(null));
            }
            request(ApiKeys.FIND_COORDINATOR, v, q, "");
            response(ApiKeys.FIND_COORDINATOR, v, r);
        }
        for (int v : new int[] {1, 3, 4}) {
            FindCoordinatorRequestData q = new FindCoordinatorRequestData().setKeyType((byte) 1);
            FindCoordinatorResponseData r = new FindCoordinatorResponseData();
            String why = "there are no transactions here";
            if (v < 4) {
                q.setKey("tx");
                r.setErrorCode((short) 35).setErrorMessage(why).setNodeId(-1).setHost("").setPort(-1);
            } else {
                q.setCoordinatorKeys(Collections.singletonList("tx"));
                r.coordinators().add(new FindCoordinatorResponseData.Coordinator().setKey("tx").setNodeId(-1)
                    .setHost("").setPort(-1).setErrorCode((short) 35).setErrorMessage(why));
            }
            request(ApiKeys.FIND_COORDINATOR, v, q, "no transactions here");
            response(ApiKeys.FIND_COORDINATOR, v, r);
        }
    }

    /* ---- JoinGroup and SyncGroup ---- */

    static JoinGroupRequestData join(int v, String id) {
        JoinGroupRequestData q = new JoinGroupRequestData().setGroupId(group(v)).setMemberId(id)
            .setSessionTimeoutMs(SESSION).setProtocolType("consumer").setGroupInstanceId(instance(v));
        if (v >= 1)
            q.setRebalanceTimeoutMs(300000);
        if (v >= 8)
            q.setReason("test");
        q.protocols().add(new JoinGroupRequestData.JoinGroupRequestProtocol().setName("range").setMetadata(META));
        q.protocols().add(new JoinGroupRequestData.JoinGroupRequestProtocol().setName("sticky").setMetadata(META));
        return q;
    }

    static JoinGroupResponseData joined(int v, String id, int generation, int err, boolean skip) {
        JoinGroupResponseData r = new JoinGroupResponseData().setErrorCode((short) err).setMemberId(id)
            .setGenerationId(err == 0 ? generation : -1).setProtocolName(err == 0 ? "range" : "")
            .setLeader(err == 0 ? id : "").setProtocolType(err == 0 && v >= 7 ? "consumer" : null)
            .setSkipAssignment(skip);
        if (err == 0)
            r.members().add(new JoinGroupResponseData.JoinGroupResponseMember().setMemberId(id)
                .setGroupInstanceId(instance(v)).setMetadata(META));
        return r;
    }

    static void joins() {
        for (int v = 0; v <= 9; v++) {
            String id = (instance(v) == null ? "gen-" : instance(v) + "-") + uuid();
            if (v >= 4 && instance(v) == null) {
                request(ApiKeys.JOIN_GROUP, v, join(v, ""), "must know its id");
                response(ApiKeys.JOIN_GROUP, v, joined(v, id, 0, 79, false));
                request(ApiKeys.JOIN_GROUP, v, join(v, id), "");
            } else {
                request(ApiKeys.JOIN_GROUP, v, join(v, ""), instance(v) == null ? "" : "static");
            }
            response(ApiKeys.JOIN_GROUP, v, joined(v, id, 1, 0, false));
            member[v] = id;
            request(ApiKeys.JOIN_GROUP, v, join(v, "nobody").setGroupId("unknown"), "unknown group");
            response(ApiKeys.JOIN_GROUP, v, joined(v, "nobody", 0, 25, false));
            request(ApiKeys.JOIN_GROUP, v, join(v, "").setGroupId(""), "no group id");
            response(ApiKeys.JOIN_GROUP, v, joined(v, "", 0, 24, false));
        }
    }

    static SyncGroupResponseData synced(int v, int err) {
        return new SyncGroupResponseData().setErrorCode((short) err)
            .setProtocolType(err == 0 && v >= 5 ? "consumer" : null)
            .setProtocolName(err == 0 && v >= 5 ? "range" : null).setAssignment(err == 0 ? ASSIGNMENT : new byte[0]);
    }

    static SyncGroupRequestData sync(int v, int g, int generation) {
        SyncGroupRequestData q = new SyncGroupRequestData().setGroupId(group(g)).setGenerationId(generation)
            .setMemberId(member[g]);
        if (v >= 3)
            q.setGroupInstanceId(instance(g));
        if (v >= 5)
            q.setProtocolType("consumer").setProtocolName("range");
        q.assignments().add(new SyncGroupRequestData.SyncGroupRequestAssignment().setMemberId(member[g])
            .setAssignment(ASSIGNMENT));
        return q;
    }

    static void syncs() {
        for (int g = 0; g <= 9; g++) {
            int v = Math.min(g, 5);
            request(ApiKeys.SYNC_GROUP, v, sync(v, g, 7), "another generation");
            response(ApiKeys.SYNC_GROUP, v, synced(v, 22));
            request(ApiKeys.SYNC_GROUP, v, sync(v, g, 1), "");
            response(ApiKeys.SYNC_GROUP, v, synced(v, 0));
        }
        request(ApiKeys.SYNC_GROUP, 5, sync(5, 5, 1).setProtocolName("sticky"), "another protocol");
        response(ApiKeys.SYNC_GROUP, 5, synced(5, 23));
    }

    /* A static leader that is back need not assign again (KIP-814). */
    static void staticBack() {
        String old = member[9];
        member[9] = instance(9) + "-" + uuid();
        request(ApiKeys.JOIN_GROUP, 9, join(9, ""), "static, back");
        response(ApiKeys.JOIN_GROUP, 9, joined(9, member[9], 1, 0, true));
        request(ApiKeys.HEARTBEAT, 4, new HeartbeatRequestData().setGroupId("g9").setGenerationId(1)
            .setMemberId(old).setGroupInstanceId(instance(9)), "fenced");
        response(ApiKeys.HEARTBEAT, 4, new HeartbeatResponseData().setErrorCode((short) 82));
    }

    static void heartbeats() {
        for (int v = 0; v <= 4; v++) {
            request(ApiKeys.HEARTBEAT, v, new HeartbeatRequestData().setGroupId("g0").setGenerationId(1)
                .setMemberId(member[0]), "");
            response(ApiKeys.HEARTBEAT, v, new HeartbeatResponseData());
            request(ApiKeys.HEARTBEAT, v, new HeartbeatRequestData().setGroupId("g0").setGenerationId(1)
                .setMemberId("nobody"), "unknown member");
            response(ApiKeys.HEARTBEAT, v, new HeartbeatResponseData().setErrorCode((short) 25));
        }
    }

    /* ---- OffsetCommit and OffsetFetch ---- */

    static OffsetCommitRequestData commit(int v, String g, String id, int generation) {
        OffsetCommitRequestData q = new OffsetCommitRequestData().setGroupId(g).setMemberId(id)
            .setGenerationIdOrMemberEpoch(generation);
        OffsetCommitRequestData.OffsetCommitRequestTopic t =
            new OffsetCommitRequestData.OffsetCommitRequestTopic().setName("alpha");
        for (int p = 0; p < 2; p++)
            t.partitions().add(new OffsetCommitRequestData.OffsetCommitRequestPartition().setPartitionIndex(p)
                .setCommittedOffset(100L * v + p).setCommittedLeaderEpoch(v >= 6 ? v : -1)
                .setCommittedMetadata(p == 0 ? "note " + v : null));
        t.partitions().add(new OffsetCommitRequestData.OffsetCommitRequestPartition().setPartitionIndex(9)
            .setCommittedOffset(1).setCommittedMetadata(""));
        q.topics().add(t);
        return q;
    }

    static OffsetCommitResponseData committed(int err) {
        OffsetCommitResponseData r = new OffsetCommitResponseData();
        OffsetCommitResponseData.OffsetCommitResponseTopic t =
            new OffsetCommitResponseData.OffsetCommitResponseTopic().setName("alpha");
        for (int p = 0; p < 2; p++)
            t.partitions().add(new OffsetCommitResponseData.OffsetCommitResponsePartition().setPartitionIndex(p)
                .setErrorCode((short) err));
        t.partitions().add(new OffsetCommitResponseData.OffsetCommitResponsePartition().setPartitionIndex(9)
            .setErrorCode((short) 3));
        r.topics().add(t);
        return r;
    }

    /* What the partitions have after the last commit, at the given version; -1: nothing. */
    static OffsetFetchResponseData fetched(int v, int at, int... partitions) {
        OffsetFetchResponseData r = new OffsetFetchResponseData();
        OffsetFetchResponseData.OffsetFetchResponseTopic t =
            new OffsetFetchResponseData.OffsetFetchResponseTopic().setName("alpha");
        OffsetFetchResponseData.OffsetFetchResponseTopics ts =
            new OffsetFetchResponseData.OffsetFetchResponseTopics().setName("alpha");
        for (int p : partitions) {
            boolean has = p < 2 && at >= 0;
            long offset = has ? 100L * at + p : -1;
            int epoch = has && at >= 6 ? at : -1;
            String note = has && p == 0 ? "note " + at : "";
            t.partitions().add(new OffsetFetchResponseData.OffsetFetchResponsePartition().setPartitionIndex(p)
                .setCommittedOffset(offset).setCommittedLeaderEpoch(v >= 5 ? epoch : -1).setMetadata(note));
            ts.partitions().add(new OffsetFetchResponseData.OffsetFetchResponsePartitions().setPartitionIndex(p)
                .setCommittedOffset(offset).setCommittedLeaderEpoch(epoch).setMetadata(note));
        }
        if (v < 8) {
            r.topics().add(t);
        } else {
            r.groups().add(new OffsetFetchResponseData.OffsetFetchResponseGroup().setGroupId("g1")
                .setTopics(Collections.singletonList(ts)));
        }
        return r;
    }

    static OffsetFetchRequestData fetch(int v, boolean all) {
        OffsetFetchRequestData q = new OffsetFetchRequestData();
        if (v >= 7)
            q.setRequireStable(true);
        if (v < 8) {
            q.setGroupId("g1").setTopics(all ? null : Collections.singletonList(
                new OffsetFetchRequestData.OffsetFetchRequestTopic().setName("alpha")
                .setPartitionIndexes(Arrays.asList(0, 1, 9))));
        } else {
            q.groups().add(new OffsetFetchRequestData.OffsetFetchRequestGroup().setGroupId("g1").setTopics(
                all ? null : Collections.singletonList(new OffsetFetchRequestData.OffsetFetchRequestTopics()
                    .setName("alpha").setPartitionIndexes(Arrays.asList(0, 1, 9)))));
        }
        return q;
    }

    static void offsets() {
        request(ApiKeys.OFFSET_FETCH, 5, fetch(5, false), "nothing is committed");
        response(ApiKeys.OFFSET_FETCH, 5, fetched(5, -1, 0, 1, 9));
        for (int v = 2; v <= 8; v++) {
            request(ApiKeys.OFFSET_COMMIT, v, commit(v, "g1", member[1], 1), "");
            response(ApiKeys.OFFSET_COMMIT, v, committed(0));
            request(ApiKeys.OFFSET_COMMIT, v, commit(v, "g1", member[1], 7), "another generation");
            response(ApiKeys.OFFSET_COMMIT, v, committed(22));
        }
        for (int v = 1; v <= 8; v++) {
            request(ApiKeys.OFFSET_FETCH, v, fetch(v, false), "");
            response(ApiKeys.OFFSET_FETCH, v, fetched(v, 8, 0, 1, 9));
            if (v < 2)
                continue;
            request(ApiKeys.OFFSET_FETCH, v, fetch(v, true), "all topics");
            response(ApiKeys.OFFSET_FETCH, v, fetched(v, 8, 0, 1));
        }
        request(ApiKeys.OFFSET_COMMIT, 8, commit(8, "simple", "", -1), "by nobody's member");
        response(ApiKeys.OFFSET_COMMIT, 8, committed(0));
        request(ApiKeys.OFFSET_COMMIT, 8, commit(8, "g1", "", -1), "not while it has members");
        response(ApiKeys.OFFSET_COMMIT, 8, committed(25));
    }

    /* ---- looking at groups ---- */

    static DescribeGroupsResponseData.DescribedGroup described(int v, int g) {
        DescribeGroupsResponseData.DescribedGroup d = new DescribeGroupsResponseData.DescribedGroup()
            .setGroupId(group(g)).setGroupState("Stable").setProtocolType("consumer").setProtocolData("range");
        d.members().add(new DescribeGroupsResponseData.DescribedGroupMember().setMemberId(member[g])
            .setGroupInstanceId(v >= 4 ? instance(g) : null).setClientId("gen").setClientHost("/192.0.2.1")
            .setMemberMetadata(META).setMemberAssignment(ASSIGNMENT));
        return d;
    }

    static void describes() {
        for (int v = 0; v <= 5; v++) {
            DescribeGroupsResponseData r = new DescribeGroupsResponseData();
            r.groups().add(described(v, 0));
            r.groups().add(described(v, 9));
            r.groups().add(new DescribeGroupsResponseData.DescribedGroup().setGroupId("simple")
                .setGroupState("Empty"));
            r.groups().add(new DescribeGroupsResponseData.DescribedGroup().setGroupId("nobody")
                .setGroupState("Dead"));
            request(ApiKeys.DESCRIBE_GROUPS, v, new DescribeGroupsRequestData()
                .setGroups(Arrays.asList("g0", "g9", "simple", "nobody")), "");
            response(ApiKeys.DESCRIBE_GROUPS, v, r);
        }
    }

    static ListGroupsResponseData.ListedGroup listed(int v, String id, String type, String state) {
        ListGroupsResponseData.ListedGroup l = new ListGroupsResponseData.ListedGroup().setGroupId(id)
            .setProtocolType(type);
        if (v >= 4)
            l.setGroupState(state);
        if (v >= 5)
            l.setGroupType("classic");
        return l;
    }

    static void lists() {
        for (int v = 0; v <= 5; v++) {
            ListGroupsResponseData r = new ListGroupsResponseData();
            for (int g = 0; g <= 9; g++)
                r.groups().add(listed(v, group(g), "consumer", "Stable"));
            r.groups().add(listed(v, "simple", "", "Empty"));
            request(ApiKeys.LIST_GROUPS, v, new ListGroupsRequestData(), "");
            response(ApiKeys.LIST_GROUPS, v, r);
        }
        for (int v = 4; v <= 5; v++) {
            ListGroupsRequestData q = new ListGroupsRequestData().setStatesFilter(Arrays.asList("empty", "Dead"));
            if (v == 5)
                q.setTypesFilter(Collections.singletonList("Classic"));
            ListGroupsResponseData r = new ListGroupsResponseData();
            r.groups().add(listed(v, "simple", "", "Empty"));
            request(ApiKeys.LIST_GROUPS, v, q, "by state");
            response(ApiKeys.LIST_GROUPS, v, r);
        }
        request(ApiKeys.LIST_GROUPS, 5, new ListGroupsRequestData()
            .setTypesFilter(Collections.singletonList("consumer")), "by type");
        response(ApiKeys.LIST_GROUPS, 5, new ListGroupsResponseData());
    }

    /* ---- ends ---- */

    static void leaves() {
        for (int v = 0; v <= 5; v++) {
            LeaveGroupRequestData q = new LeaveGroupRequestData().setGroupId(group(v));
            LeaveGroupResponseData r = new LeaveGroupResponseData();
            if (v < 3) {
                q.setMemberId(member[v]);
            } else {
                for (String id : new String[] {member[v], "nobody"}) {
                    LeaveGroupRequestData.MemberIdentity m =
                        new LeaveGroupRequestData.MemberIdentity().setMemberId(id);
                    q.members().add(v >= 5 ? m.setReason("done") : m);
                    r.members().add(new LeaveGroupResponseData.MemberResponse().setMemberId(id)
                        .setGroupInstanceId(null).setErrorCode((short) (id.equals("nobody") ? 25 : 0)));
                }
            }
            request(ApiKeys.LEAVE_GROUP, v, q, "");
            response(ApiKeys.LEAVE_GROUP, v, r);
        }
        LeaveGroupRequestData q = new LeaveGroupRequestData().setGroupId("g9");
        q.members().add(new LeaveGroupRequestData.MemberIdentity().setMemberId("").setGroupInstanceId(instance(9)));
        LeaveGroupResponseData r = new LeaveGroupResponseData();
        r.members().add(new LeaveGroupResponseData.MemberResponse().setMemberId("").setGroupInstanceId(instance(9)));
        request(ApiKeys.LEAVE_GROUP, 4, q, "removed by an administrator");
        response(ApiKeys.LEAVE_GROUP, 4, r);
        request(ApiKeys.LEAVE_GROUP, 4, new LeaveGroupRequestData().setGroupId("nobody").setMembers(q.members()),
            "unknown group");
        LeaveGroupResponseData unknown = new LeaveGroupResponseData();
        unknown.members().add(new LeaveGroupResponseData.MemberResponse().setMemberId("")
            .setGroupInstanceId(instance(9)).setErrorCode((short) 25));
        response(ApiKeys.LEAVE_GROUP, 4, unknown);
    }

    static OffsetDeleteRequestData offsetDelete(String g, String topic, int... partitions) {
        OffsetDeleteRequestData.OffsetDeleteRequestTopic t =
            new OffsetDeleteRequestData.OffsetDeleteRequestTopic().setName(topic);
        for (int p : partitions)
            t.partitions().add(new OffsetDeleteRequestData.OffsetDeleteRequestPartition().setPartitionIndex(p));
        OffsetDeleteRequestData q = new OffsetDeleteRequestData().setGroupId(g);
        q.topics().add(t);
        return q;
    }

    static OffsetDeleteResponseData offsetDeleted(String topic, int[] partitions, int[] errors) {
        OffsetDeleteResponseData.OffsetDeleteResponseTopic t =
            new OffsetDeleteResponseData.OffsetDeleteResponseTopic().setName(topic);
        for (int i = 0; i < partitions.length; i++)
            t.partitions().add(new OffsetDeleteResponseData.OffsetDeleteResponsePartition()
                .setPartitionIndex(partitions[i]).setErrorCode((short) errors[i]));
        OffsetDeleteResponseData r = new OffsetDeleteResponseData();
        r.topics().add(t);
        return r;
    }

    static void offsetDeletes() {
        request(ApiKeys.OFFSET_DELETE, 0, offsetDelete("g8", "alpha", 0), "a topic that is subscribed to");
        response(ApiKeys.OFFSET_DELETE, 0, offsetDeleted("alpha", new int[] {0}, new int[] {86}));
        request(ApiKeys.OFFSET_DELETE, 0, offsetDelete("g1", "alpha", 0, 9), "");
        response(ApiKeys.OFFSET_DELETE, 0, offsetDeleted("alpha", new int[] {0, 9}, new int[] {0, 3}));
        request(ApiKeys.OFFSET_DELETE, 0, offsetDelete("nobody", "alpha", 0), "unknown group");
        response(ApiKeys.OFFSET_DELETE, 0, new OffsetDeleteResponseData().setErrorCode((short) 69));
    }

    static void deletes() {
        for (int v = 0; v <= 2; v++) {
            DeleteGroupsResponseData r = new DeleteGroupsResponseData();
            r.results().add(new DeleteGroupsResponseData.DeletableGroupResult().setGroupId(group(v)));
            r.results().add(new DeleteGroupsResponseData.DeletableGroupResult().setGroupId("g8")
                .setErrorCode((short) 68));
            r.results().add(new DeleteGroupsResponseData.DeletableGroupResult().setGroupId("nobody")
                .setErrorCode((short) 69));
            request(ApiKeys.DELETE_GROUPS, v, new DeleteGroupsRequestData()
                .setGroupsNames(Arrays.asList(group(v), "g8", "nobody")), "");
            response(ApiKeys.DELETE_GROUPS, v, r);
        }
        request(ApiKeys.OFFSET_FETCH, 8, fetch(8, true), "of a group that was deleted");
        OffsetFetchResponseData r = new OffsetFetchResponseData();
        r.groups().add(new OffsetFetchResponseData.OffsetFetchResponseGroup().setGroupId("g1"));
        response(ApiKeys.OFFSET_FETCH, 8, r);
    }

    /* ---- OffsetForLeaderEpoch ---- */

    static void epochs() {
        for (int v = 2; v <= 4; v++) {
            OffsetForLeaderEpochRequestData q = new OffsetForLeaderEpochRequestData();
            if (v >= 3)
                q.setReplicaId(-1);
            OffsetForLeaderEpochResponseData r = new OffsetForLeaderEpochResponseData();
            OffsetForLeaderEpochRequestData.OffsetForLeaderTopic t =
                new OffsetForLeaderEpochRequestData.OffsetForLeaderTopic().setTopic("alpha");
            OffsetForLeaderEpochResponseData.OffsetForLeaderTopicResult rt =
                new OffsetForLeaderEpochResponseData.OffsetForLeaderTopicResult().setTopic("alpha");
            /* partition, current epoch, epoch; error, epoch, end */
            int[][] rows = {{0, 0, 0, 0, 0, 0}, {1, -1, 0, 0, 0, 0}, {0, 5, 0, 75, -1, -1}, {9, -1, 0, 3, -1, -1}};
            for (int[] x : rows) {
                t.partitions().add(new OffsetForLeaderEpochRequestData.OffsetForLeaderPartition()
                    .setPartition(x[0]).setCurrentLeaderEpoch(x[1]).setLeaderEpoch(x[2]));
                rt.partitions().add(new OffsetForLeaderEpochResponseData.EpochEndOffset().setPartition(x[0])
                    .setErrorCode((short) x[3]).setLeaderEpoch(x[4]).setEndOffset(x[5]));
            }
            q.topics().add(t);
            r.topics().add(rt);
            request(ApiKeys.OFFSET_FOR_LEADER_EPOCH, v, q, "");
            response(ApiKeys.OFFSET_FOR_LEADER_EPOCH, v, r);
        }
    }

    public static void main(String[] args) {
        System.out.println("# Made by GenGroups.java; do not edit. > request, < response, - none, ! closed");
        request(ApiKeys.METADATA, 9, wanted("alpha"), "creates the topic");
        MetadataResponseData d = metadata();
        d.topics().add(known("alpha"));
        response(ApiKeys.METADATA, 9, d);
        findCoordinator();
        joins();
        syncs();
        staticBack();
        heartbeats();
        offsets();
        describes();
        lists();
        leaves();
        offsetDeletes();
        deletes();
        epochs();
        request(ApiKeys.PRODUCE, 9, produce(1, "__consumer_offsets", 0,
            batch(org.apache.kafka.common.record.CompressionType.NONE, 1)), "not for clients");
        response(ApiKeys.PRODUCE, 9, produced("__consumer_offsets", 0, 17, -1, null));
    }
}

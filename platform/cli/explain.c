/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/cli/explain.h"

const struct sl_explain SL_EXPLAIN[] = {
	{"ledger", "lost_by_device", "", false,
	 "The card or the kernel's socket dropped frames before Sluice saw them: they came faster "
	 "than the ingest thread took them.",
	 "Give ingest a CPU of its own (dataplane.ingest), `idle: spin`, or a faster back end; "
	 "`sluice status` names the one in use."},
	{"ledger", "other", "", false,
	 "Frames that no listener wants: other protocols, ports or addresses on the same wire.",
	 "Nothing, unless records are missing: then compare the listener's address and udp with "
	 "what the devices send to."},
	{"ledger", "bad", "l2_short", false, "Frames shorter than their Ethernet and VLAN headers.",
	 "Look for a faulty card or a test generator on the wire."},
	{"ledger", "bad", "l2_length", false,
	 "802.3 frames with a length in place of a type, such as spanning tree.",
	 "Nothing: they carry no IP."},
	{"ledger", "bad", "vlan_depth", false, "Frames with three or more VLAN tags; two are read.",
	 "Take one tag off at the switch."},
	{"ledger", "bad", "ip_version", false,
	 "An IP header whose version does not fit the frame's type.", "Look for a broken sender."},
	{"ledger", "bad", "ip_header", false, "IP headers whose lengths contradict themselves.",
	 "Look for a broken or hostile sender."},
	{"ledger", "bad", "ip_checksum", false, "IPv4 headers with a wrong checksum.",
	 "Look for a faulty cable, card or switch."},
	{"ledger", "bad", "ip_source", false,
	 "A source address that no sender may have: multicast, loopback, unspecified or our own.",
	 "Look for a misconfigured or spoofing sender; in a capture, for one made on a loopback."},
	{"ledger", "bad", "truncated", false, "Frames shorter than their IP or UDP length says.",
	 "Compare the MTUs along the path; on af_packet this can be a reassembled datagram larger "
	 "than a frame, in a capture one made with a snap length."},
	{"ledger", "bad", "udp_length", false, "A UDP length below 8 or beyond its IP packet.",
	 "Look for a broken or hostile sender."},
	{"ledger", "bad", "udp_checksum", false,
	 "Datagrams damaged on the way, or sent with a wrong checksum.",
	 "If all frames of a virtual network are affected, or of a capture made on the sender, "
	 "checksums were left to a card that did not fill them in: set `checksum: trust` on that "
	 "port. Otherwise look for a faulty link."},
	{"ledger", "bad", "udp_port", false, "Datagrams from or to UDP port 0.",
	 "Look for a broken or hostile sender."},
	{"ledger", "fragment", "ipv4", false,
	 "Pieces of IPv4 datagrams larger than the MTU; not reassembled.",
	 "Send smaller messages, or raise the MTU on the path and on the port."},
	{"ledger", "fragment", "ipv6", false,
	 "Pieces of IPv6 datagrams larger than the MTU; not reassembled.",
	 "Send smaller messages, or raise the MTU on the path and on the port."},
	{"ledger", "refused", "empty", false,
	 "Datagrams without a byte, where the protocol wants some.",
	 "Look at what the sender does; a probe often does this."},
	{"ledger", "refused", "too_large", false,
	 "Messages larger than the topic's max.message.bytes.",
	 "Raise max.message.bytes of the topic, or send smaller messages."},
	{"ledger", "control", "echo", false, "Requests that were answered and are no records.",
	 "Nothing."},
	{"ledger", "duplicate", "", false, "Messages that came twice and were kept once.",
	 "Nothing."},
	{"ledger", "limited", "", false, "Senders beyond the listener's limit.",
	 "Raise the limit, or find out why a device talks so much."},
	{"ledger", "ring_full", "", false,
	 "No free batch: the writer, and with it the disk, could not keep up.",
	 "Give writers more CPU or a faster disk (dataplane.writers, dataplane.memory), or turn "
	 "the "
	 "topics' compression off."},
	{"ledger", "append_failed", "disk_full", true,
	 "The disk was full, or below storage.reserve: records were refused.",
	 "Free space, lower storage.budget or retention. The box recovers by itself when there is "
	 "room."},
	{"ledger", "append_failed", "io_error", true,
	 "Writing or syncing a partition's file failed; that partition takes nothing until a "
	 "restart.",
	 "Look at the kernel's log for the disk, then restart sluiced."},
	{"ledger", "append_failed", "too_large", true,
	 "A batch beyond max.message.bytes or segment.bytes.",
	 "Raise max.message.bytes of the topic, or lower dataplane.batch."},
	{"ledger", "append_failed", "deleted", true, "Records for a topic that was being deleted.",
	 "Nothing, if the topic was deleted on purpose."},
	{"ledger", "append_failed", "shutdown", true,
	 "A stop did not wait longer than gateway.drain for the disk.",
	 "Raise gateway.drain, or find out why the disk is slow."},
	{"ledger", "lost_at_crash", "", true,
	 "Records that were in memory, not yet in the log, when the daemon was killed.",
	 "Find out what ended it; `received` promises no more than that."},
	{"mqtt", "lost_qos0", "", false,
	 "Messages of QoS 0 that the broker's plugin could not hand over: sluiced was away, or its "
	 "ring was full. Nobody sends them again.",
	 "Use QoS 1 for what must not be lost; find out why sluiced was away or slow."},
	{"mqtt", "pushed_back", "", false,
	 "Messages of QoS 1 and 2 that were not acknowledged, so that their senders keep them and "
	 "send them again.",
	 "Nothing, if it has stopped growing: nothing is lost. While it grows, senders wait for "
	 "sluiced: see the other reasons, and whether the disk is full."},
	{"mqtt", "waits_expired", "", false,
	 "Of the messages pushed back, those for which the plugin waited in vain.",
	 "Find out why sluiced was slow or stopped; a rule with `ack: synced` waits for the disk."},
	{"mqtt", "lost_from_broker", "", false,
	 "Messages of a broker elsewhere that were acknowledged to it and then not stored.",
	 "The daemon's log has the reason; `sluice status` names the broker."},
	{"mqtt", "properties_cut", "", false,
	 "User properties beyond the maximum of a message: the message was stored without them.",
	 "Send fewer properties with a message."},
	{"mqtt", "duplicate", "", false,
	 "Messages that were handed over twice and kept once, after a restart of sluiced.",
	 "Nothing."},
	{"mqtt", "skipped", "no_match", false,
	 "Messages whose topic no rule wants: acknowledged as any broker would, stored nowhere.",
	 "Add a rule under mqtt.map, or a mqtt.default_topic, if they are wanted."},
	{"mqtt", "skipped", "bad_topic", false,
	 "Messages for which a rule's template gave no legal Kafka topic name: acknowledged, "
	 "stored "
	 "nowhere.",
	 "Look at the rule's `topic` and at what its placeholders can be."},
	{"mqtt", "skipped", "bad_name", false,
	 "Messages whose topic is no MQTT topic name: acknowledged, stored nowhere.",
	 "Look for a broken sender."},
	{"mqtt", "skipped", "retained", false, "Retained messages of a rule with `retained: skip`.",
	 "Nothing: the rule asks for it."},
	{"mqtt", "refused", "disk_full", false,
	 "The disk was full, or below storage.reserve: the messages were pushed back.",
	 "Free space, lower storage.budget or retention. Senders send QoS 1 and 2 again by "
	 "themselves; QoS 0 is lost."},
	{"mqtt", "refused", "too_large", false,
	 "Messages larger than the topic's max.message.bytes: pushed back, and their senders will "
	 "try again in vain.",
	 "Raise max.message.bytes of the topic, or limit message_size_limit at the broker."},
	{"mqtt", "refused", "failed", false,
	 "The partition takes nothing until a restart, because writing its file failed.",
	 "Look at the kernel's log for the disk, then restart sluiced."},
	{"mqtt", "refused", "max_topics", false,
	 "Messages for which a rule would have had to make one topic more than mqtt.max_topics: "
	 "pushed back, and their senders will try again in vain.",
	 "Raise mqtt.max_topics, or put into the key what the topic's name has from a placeholder; "
	 "delete topics that nobody needs."},
	{"mqtt", "refused", "shutdown", false, "Messages that came while sluiced was stopping.",
	 "Nothing: senders send QoS 1 and 2 again."},
	{"downlink", "expired", "", false,
	 "Commands that were too old when they could be sent: dropped, as their expiry says.",
	 "Nothing, unless they should have arrived: then raise `expiry` of the rule, or find out "
	 "how long the broker or the link was away."},
	{"downlink", "gone", "", false,
	 "Commands that were deleted, by retention or by hand, or damaged before they were sent.",
	 "Raise retention.ms of the topic above the longest outage, or find out why the broker was "
	 "away."},
	{"downlink", "bad", "", false,
	 "Commands from which no legal MQTT message came: a topic with wildcards or nothing in it, "
	 "or too large.",
	 "Look at the rule's `mqtt` template and at the keys and headers of the commands."},
};

const size_t SL_EXPLAIN_CNT = SL_ARRAY_SIZE(SL_EXPLAIN);

const struct sl_explain *sl_explain_find(const char *part, const char *bucket, const char *reason)
{
	for (size_t i = 0; i < SL_EXPLAIN_CNT; i++) {
		if (!strcmp(SL_EXPLAIN[i].part, part) && !strcmp(SL_EXPLAIN[i].bucket, bucket) &&
		    !strcmp(SL_EXPLAIN[i].reason, reason))
			return &SL_EXPLAIN[i];
	}
	return NULL;
}

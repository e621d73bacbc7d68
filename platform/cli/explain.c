/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/cli/explain.h"

const struct sl_explain SL_EXPLAIN[] = {
	{"lost_by_device", "", false,
	 "The card or the kernel's socket dropped frames before Sluice saw them: they came faster "
	 "than the ingest thread took them.",
	 "Give ingest a CPU of its own (dataplane.ingest), `idle: spin`, or a faster back end; "
	 "`sluice status` names the one in use."},
	{"other", "", false,
	 "Frames that no listener wants: other protocols, ports or addresses on the same wire.",
	 "Nothing, unless records are missing: then compare the listener's address and udp with "
	 "what the devices send to."},
	{"bad", "l2_short", false, "Frames shorter than their Ethernet and VLAN headers.",
	 "Look for a faulty card or a test generator on the wire."},
	{"bad", "l2_length", false,
	 "802.3 frames with a length in place of a type, such as spanning tree.",
	 "Nothing: they carry no IP."},
	{"bad", "vlan_depth", false, "Frames with three or more VLAN tags; two are read.",
	 "Take one tag off at the switch."},
	{"bad", "ip_version", false, "An IP header whose version does not fit the frame's type.",
	 "Look for a broken sender."},
	{"bad", "ip_header", false, "IP headers whose lengths contradict themselves.",
	 "Look for a broken or hostile sender."},
	{"bad", "ip_checksum", false, "IPv4 headers with a wrong checksum.",
	 "Look for a faulty cable, card or switch."},
	{"bad", "ip_source", false,
	 "A source address that no sender may have: multicast, loopback, unspecified or our own.",
	 "Look for a misconfigured or spoofing sender; in a capture, for one made on a loopback."},
	{"bad", "truncated", false, "Frames shorter than their IP or UDP length says.",
	 "Compare the MTUs along the path; on af_packet this can be a reassembled datagram larger "
	 "than a frame, in a capture one made with a snap length."},
	{"bad", "udp_length", false, "A UDP length below 8 or beyond its IP packet.",
	 "Look for a broken or hostile sender."},
	{"bad", "udp_checksum", false,
	 "Datagrams damaged on the way, or sent with a wrong checksum.",
	 "If all frames of a virtual network are affected, or of a capture made on the sender, "
	 "checksums were left to a card that did not fill them in: set `checksum: trust` on that "
	 "port. Otherwise look for a faulty link."},
	{"bad", "udp_port", false, "Datagrams from or to UDP port 0.",
	 "Look for a broken or hostile sender."},
	{"fragment", "ipv4", false,
	 "Pieces of IPv4 datagrams larger than the MTU; not reassembled.",
	 "Send smaller messages, or raise the MTU on the path and on the port."},
	{"fragment", "ipv6", false,
	 "Pieces of IPv6 datagrams larger than the MTU; not reassembled.",
	 "Send smaller messages, or raise the MTU on the path and on the port."},
	{"refused", "empty", false, "Datagrams without a byte, where the protocol wants some.",
	 "Look at what the sender does; a probe often does this."},
	{"refused", "too_large", false, "Messages larger than the topic's max.message.bytes.",
	 "Raise max.message.bytes of the topic, or send smaller messages."},
	{"control", "echo", false, "Requests that were answered and are no records.", "Nothing."},
	{"duplicate", "", false, "Messages that came twice and were kept once.", "Nothing."},
	{"limited", "", false, "Senders beyond the listener's limit.",
	 "Raise the limit, or find out why a device talks so much."},
	{"ring_full", "", false,
	 "No free batch: the writer, and with it the disk, could not keep up.",
	 "Give writers more CPU or a faster disk (dataplane.writers, dataplane.memory), or turn "
	 "the "
	 "topics' compression off."},
	{"append_failed", "disk_full", true,
	 "The disk was full, or below storage.reserve: records were refused.",
	 "Free space, lower storage.budget or retention. The box recovers by itself when there is "
	 "room."},
	{"append_failed", "io_error", true,
	 "Writing or syncing a partition's file failed; that partition takes nothing until a "
	 "restart.",
	 "Look at the kernel's log for the disk, then restart sluiced."},
	{"append_failed", "too_large", true, "A batch beyond max.message.bytes or segment.bytes.",
	 "Raise max.message.bytes of the topic, or lower dataplane.batch."},
	{"append_failed", "deleted", true, "Records for a topic that was being deleted.",
	 "Nothing, if the topic was deleted on purpose."},
	{"append_failed", "shutdown", true,
	 "A stop did not wait longer than gateway.drain for the disk.",
	 "Raise gateway.drain, or find out why the disk is slow."},
	{"lost_at_crash", "", true,
	 "Records that were in memory, not yet in the log, when the daemon was killed.",
	 "Find out what ended it; `received` promises no more than that."},
};

const size_t SL_EXPLAIN_CNT = SL_ARRAY_SIZE(SL_EXPLAIN);

const struct sl_explain *sl_explain_find(const char *bucket, const char *reason)
{
	for (size_t i = 0; i < SL_EXPLAIN_CNT; i++) {
		if (!strcmp(SL_EXPLAIN[i].bucket, bucket) && !strcmp(SL_EXPLAIN[i].reason, reason))
			return &SL_EXPLAIN[i];
	}
	return NULL;
}

// SPDX-License-Identifier: Apache-2.0
//
// Writes and reads record batches with Apache Kafka's own classes.
//
//   java -cp '<kafka>/libs/*' Gen.java write DIR     makes the *.bin files of this folder
//   java -cp '<kafka>/libs/*' Gen.java read FILE...  checks each file as Kafka would and prints it
//
// The records are those that platform/record/golden.h spells out in C.

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.MutableRecordBatch;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.SimpleRecord;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.utils.BufferSupplier;
import org.apache.kafka.common.utils.CloseableIterator;

public class Gen {
    static final long T = 1769860800000L; // 2026-01-31T12:00:00Z

    static byte[] b(String s) {
        return s.getBytes(StandardCharsets.UTF_8);
    }

    static byte[] pattern(int n) {
        byte[] p = new byte[n];
        for (int i = 0; i < n; i++)
            p[i] = (byte) (i * 7 + i / 251);
        return p;
    }

    static List<SimpleRecord> records() {
        List<SimpleRecord> l = new ArrayList<>();
        l.add(new SimpleRecord(T, b("10.77.0.1"), b("<34>1 2026-01-31T12:00:00Z web01 app - - - hello")));
        l.add(new SimpleRecord(T + 5, null, b("no key")));
        l.add(new SimpleRecord(T - 3, b("k"), null));
        l.add(new SimpleRecord(T + 5, new byte[0], new byte[0]));
        l.add(new SimpleRecord(T + 2, b("h"), b("headers"), new Header[] {
            new RecordHeader("facility", b("4")), new RecordHeader("null", (byte[]) null),
            new RecordHeader("empty", new byte[0]), new RecordHeader("", b("no name"))}));
        l.add(new SimpleRecord(T + 4, new byte[] {(byte) 0xff, 0, (byte) 0x80}, pattern(40000)));
        Header[] many = new Header[20];
        for (int i = 0; i < many.length; i++)
            many[i] = new RecordHeader(String.format("h%02d", i), b("v"));
        l.add(new SimpleRecord(T + 1, b("many"), null, many));
        return l;
    }

    static Compression codec(CompressionType t) {
        return Compression.of(t).build();
    }

    static void write(Path file, Compression c, TimestampType tt, long pid, short epoch, int seq, boolean txn)
            throws IOException {
        ByteBuffer buf = ByteBuffer.allocate(1 << 17);
        MemoryRecordsBuilder m = MemoryRecords.builder(buf, RecordBatch.MAGIC_VALUE_V2, c, tt, 0L, T + 77, pid,
            epoch, seq, txn, RecordBatch.NO_PARTITION_LEADER_EPOCH);
        for (SimpleRecord r : records())
            m.append(r);
        ByteBuffer out = m.build().buffer();
        byte[] bytes = new byte[out.remaining()];
        out.get(bytes);
        Files.write(file, bytes);
        System.out.println(file + " " + bytes.length);
    }

    static void write(Path dir) throws IOException {
        for (CompressionType t : new CompressionType[] {CompressionType.NONE, CompressionType.GZIP,
                CompressionType.SNAPPY, CompressionType.LZ4, CompressionType.ZSTD})
            write(dir.resolve(t.name + ".bin"), codec(t), TimestampType.CREATE_TIME, RecordBatch.NO_PRODUCER_ID,
                RecordBatch.NO_PRODUCER_EPOCH, RecordBatch.NO_SEQUENCE, false);
        write(dir.resolve("append-time.bin"), codec(CompressionType.ZSTD), TimestampType.LOG_APPEND_TIME,
            RecordBatch.NO_PRODUCER_ID, RecordBatch.NO_PRODUCER_EPOCH, RecordBatch.NO_SEQUENCE, false);
        write(dir.resolve("transactional.bin"), codec(CompressionType.LZ4), TimestampType.CREATE_TIME, 4242L,
            (short) 7, 99, true);
    }

    static String show(ByteBuffer v) {
        if (v == null)
            return "null";
        byte[] a = new byte[v.remaining()];
        v.duplicate().get(a);
        if (a.length <= 64)
            return "'" + new String(a, StandardCharsets.ISO_8859_1) + "'";
        CRC32 crc = new CRC32();
        crc.update(a);
        return a.length + " bytes, crc32 " + Long.toHexString(crc.getValue());
    }

    static void read(Path file) throws IOException {
        MemoryRecords all = MemoryRecords.readableRecords(ByteBuffer.wrap(Files.readAllBytes(file)));
        for (MutableRecordBatch batch : all.batches()) {
            batch.ensureValid();
            int n = 0;
            System.out.println(file + ": " + batch);
            try (CloseableIterator<Record> it = batch.streamingIterator(BufferSupplier.create())) {
                while (it.hasNext()) {
                    Record r = it.next();
                    r.ensureValid();
                    System.out.print("  " + r.offset() + " " + (r.timestamp() - T) + " " + show(r.key()) + " "
                        + show(r.value()));
                    for (Header h : r.headers())
                        System.out.print(" " + h.key() + "="
                            + show(h.value() == null ? null : ByteBuffer.wrap(h.value())));
                    System.out.println();
                    n++;
                }
            }
            if (n != batch.countOrNull())
                throw new IllegalStateException(n + " records, header says " + batch.countOrNull());
        }
        if (all.validBytes() != all.sizeInBytes())
            throw new IllegalStateException("bytes left over");
    }

    public static void main(String[] args) throws IOException {
        if (args.length == 2 && args[0].equals("write"))
            write(Path.of(args[1]));
        else if (args.length >= 2 && args[0].equals("read"))
            for (int i = 1; i < args.length; i++)
                read(Path.of(args[i]));
        else
            throw new IllegalArgumentException("write DIR | read FILE...");
    }
}

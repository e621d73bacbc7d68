// SPDX-License-Identifier: Apache-2.0

// franz-go (kgo, kadm) behind the driver contract: franz BOOTSTRAP.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"sluice.tests/clients/driver"
)

type (
	request = driver.Request
	answer  = driver.Answer
)

var (
	admin  *kadm.Client
	codecs = map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	acks = map[string]kgo.Acks{"0": kgo.NoAck(), "1": kgo.LeaderAck(), "all": kgo.AllISRAcks()}
)

func client(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(os.Args[1]), kgo.MetadataMinAge(50 * time.Millisecond)},
		opts...)...)
}

func within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), driver.Wait)
}

func hello(*request) (answer, error) {
	info, _ := debug.ReadBuildInfo()
	version := driver.Version("github.com/twmb/franz-go", func(f func(string, string)) {
		for _, d := range info.Deps {
			f(d.Path, d.Version)
		}
	})
	return answer{"client": "franz-go", "version": version, "cooperative": true, "static": true}, nil
}

func produce(req *request) (answer, error) {
	records, err := req.Records()
	if err != nil {
		return nil, err
	}
	opts := []kgo.Opt{kgo.ProducerBatchCompression(codecs[req.Codec]), kgo.RequiredAcks(acks[req.Acks]),
		kgo.ProducerLinger(20 * time.Millisecond), kgo.ProducerBatchMaxBytes(16 << 20),
		kgo.BrokerMaxWriteBytes(64 << 20), kgo.RecordRetries(3)}
	if !req.Idempotent {
		opts = append(opts, kgo.DisableIdempotentWrite())
	}
	c, err := client(opts...)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ctx, cancel := within()
	defer cancel()
	batch := []*kgo.Record{}
	for _, r := range records {
		k := &kgo.Record{Topic: req.Topic, Key: r.Key, Value: r.Value, Timestamp: time.UnixMilli(r.Timestamp)}
		for _, h := range r.Headers {
			k.Headers = append(k.Headers, kgo.RecordHeader{Key: h.Name, Value: h.Value})
		}
		batch = append(batch, k)
	}
	at := [][2]int64{}
	for _, r := range c.ProduceSync(ctx, batch...) {
		if r.Err != nil {
			return nil, r.Err
		}
		at = append(at, [2]int64{int64(r.Record.Partition), r.Record.Offset})
	}
	return answer{"sent": len(batch), "at": at}, nil
}

func recordOf(r *kgo.Record) *driver.Record {
	out := &driver.Record{Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: r.Key,
		Value: r.Value}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, driver.Header{Name: h.Key, Value: h.Value})
	}
	return out
}

func consume(req *request) (answer, error) {
	taker := driver.NewTaker(req)
	parts := map[int32]kgo.Offset{}
	for _, p := range taker.Left() {
		parts[p] = kgo.NewOffset().At(req.From[p])
	}
	c, err := client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{req.Topic: parts}),
		kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), req.Limit(driver.Wait))
	defer cancel()
	for len(taker.Left()) > 0 && ctx.Err() == nil {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err0(); err != nil && ctx.Err() == nil {
			return nil, err
		}
		fetches.EachRecord(func(r *kgo.Record) { taker.Take(recordOf(r)) })
	}
	return taker.Result()
}

func listed(got kadm.ListedOffsets, err error, topic string) (answer, error) {
	if err == nil {
		err = got.Error()
	}
	if err != nil {
		return nil, err
	}
	out := driver.Offsets{}
	for p, o := range got[topic] {
		out[p] = o.Offset
	}
	return answer{"offsets": out}, nil
}

func offsets(req *request) (answer, error) {
	ctx, cancel := within()
	defer cancel()
	call := map[string]func(context.Context, ...string) (kadm.ListedOffsets, error){
		"earliest": admin.ListStartOffsets, "latest": admin.ListEndOffsets, "max": admin.ListMaxTimestampOffsets}[req.At]
	got, err := call(ctx, req.Topic)
	return listed(got, err, req.Topic)
}

// kadm gives the log's end where no record is that young; its Timestamp says so.
func times(req *request) (answer, error) {
	ctx, cancel := within()
	defer cancel()
	out := driver.Offsets{}
	for p, t := range req.Ts {
		got, err := admin.ListOffsetsAfterMilli(ctx, t, req.Topic)
		if err == nil {
			err = got.Error()
		}
		if err != nil {
			return nil, err
		}
		if out[p] = got[req.Topic][p].Offset; got[req.Topic][p].Timestamp < 0 {
			out[p] = -1
		}
	}
	return answer{"offsets": out}, nil
}

func member(req *request, i int, progress *driver.Progress) error {
	balancer := kgo.RangeBalancer()
	if req.Strategy == "cooperative" {
		balancer = kgo.CooperativeStickyBalancer()
	}
	var mu sync.Mutex
	mine := map[int32]bool{}
	change := func(gained bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			mu.Lock()
			defer mu.Unlock()
			for _, p := range parts[req.Topic] {
				if gained {
					mine[p] = true
				} else {
					delete(mine, p)
				}
			}
			if progress.Finished() {
				return // leaving, not losing
			}
			list := []int32{}
			for p := range mine {
				list = append(list, p)
			}
			progress.Assigned(i, list)
		}
	}
	opts := []kgo.Opt{kgo.ConsumerGroup(req.Group), kgo.ConsumeTopics(req.Topic), kgo.Balancers(balancer),
		kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(10 * time.Second),
		kgo.HeartbeatInterval(500 * time.Millisecond), kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false))}
	if req.Instances != nil {
		opts = append(opts, kgo.InstanceID(req.Instances[i]))
	}
	c, err := client(opts...)
	if err != nil {
		return err
	}
	defer c.Close()
	for !progress.Finished() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		c.PollFetches(ctx).EachRecord(func(r *kgo.Record) { progress.Took(i, r.Partition, r.Offset) })
		cancel()
		commit(c, req.Topic, i, progress)
	}
	return nil
}

func commit(c *kgo.Client, topic string, i int, progress *driver.Progress) {
	todo := progress.ToCommit(i)
	if len(todo) == 0 {
		return
	}
	records := []*kgo.Record{}
	for p, o := range todo {
		records = append(records, &kgo.Record{Topic: topic, Partition: p, Offset: o - 1, LeaderEpoch: -1})
	}
	ctx, cancel := within()
	defer cancel()
	progress.Committed(i, todo, c.CommitRecords(ctx, records...))
}

func group(req *request) (answer, error) {
	progress := driver.NewProgress(req)
	errs := make(chan error, req.Members)
	for i := 0; i < req.Members; i++ {
		go func() { errs <- member(req, i, progress) }()
	}
	for i := 0; i < req.Members; i++ {
		if err := <-errs; err != nil {
			return nil, err
		}
	}
	return progress.Result()
}

func committed(req *request) (answer, error) {
	ctx, cancel := within()
	defer cancel()
	got, err := admin.FetchOffsets(ctx, req.Group)
	if err != nil {
		return nil, err
	}
	out := driver.Offsets{}
	for p, o := range got[req.Topic] {
		out[p] = o.At
	}
	return answer{"offsets": out}, got.Error()
}

func create(req *request) (answer, error) {
	ctx, cancel := within()
	defer cancel()
	configs := map[string]*string{}
	for k, v := range req.Configs {
		configs[k] = kadm.StringPtr(v)
	}
	_, err := admin.CreateTopic(ctx, req.Count(), 1, configs, req.Topic)
	return nil, err
}

func describe(req *request) (answer, error) {
	ctx, cancel := within()
	defer cancel()
	got, err := admin.ListTopics(ctx, req.Topic)
	if err != nil {
		return nil, err
	}
	return answer{"partitions": len(got[req.Topic].Partitions)}, got[req.Topic].Err
}

func grow(req *request) (answer, error) {
	ctx, cancel := within()
	defer cancel()
	got, err := admin.UpdatePartitions(ctx, req.Total, req.Topic)
	if err == nil {
		err = got.Error()
	}
	return nil, err
}

func configs(req *request) (answer, error) {
	ctx, cancel := within()
	defer cancel()
	got, err := admin.DescribeTopicConfigs(ctx, req.Topic)
	if err != nil {
		return nil, err
	}
	one, err := got.On(req.Topic, nil)
	out := map[string]string{}
	for _, c := range one.Configs {
		out[c.Key] = c.MaybeValue()
	}
	if err == nil {
		err = one.Err
	}
	return answer{"configs": out}, err
}

func alter(req *request) (answer, error) {
	ctx, cancel := within()
	defer cancel()
	todo := []kadm.AlterConfig{}
	for k, v := range req.Set {
		todo = append(todo, kadm.AlterConfig{Op: kadm.SetConfig, Name: k, Value: kadm.StringPtr(v)})
	}
	got, err := admin.AlterTopicConfigs(ctx, todo, req.Topic)
	for _, r := range got {
		if err == nil {
			err = r.Err
		}
	}
	return nil, err
}

func deleteRecords(req *request) (answer, error) {
	ctx, cancel := within()
	defer cancel()
	before := kadm.Offsets{}
	for p, o := range req.Before {
		before.AddOffset(req.Topic, p, o, -1)
	}
	got, err := admin.DeleteRecords(ctx, before)
	if err == nil {
		err = got.Error()
	}
	low := driver.Offsets{}
	for p, r := range got[req.Topic] {
		low[p] = r.LowWatermark
	}
	return answer{"low": low}, err
}

func groups(*request) (answer, error) {
	ctx, cancel := within()
	defer cancel()
	got, err := admin.ListGroups(ctx)
	return answer{"groups": got.Groups()}, err
}

func describeGroup(req *request) (answer, error) {
	ctx, cancel := within()
	defer cancel()
	got, err := admin.DescribeGroups(ctx, req.Group)
	if err != nil {
		return nil, err
	}
	d := got[req.Group]
	return answer{"state": d.State, "members": len(d.Members)}, d.Err
}

func deleteGroup(req *request) (answer, error) {
	ctx, cancel := within()
	defer cancel()
	got, err := admin.DeleteGroup(ctx, req.Group)
	if err == nil {
		err = got.Err
	}
	return nil, err
}

func deleteTopic(req *request) (answer, error) {
	ctx, cancel := within()
	defer cancel()
	got, err := admin.DeleteTopic(ctx, req.Topic)
	if err == nil {
		err = got.Err
	}
	return nil, err
}

func main() {
	c, err := client()
	if err != nil {
		fmt.Fprintln(os.Stderr, err, kerr.UnknownServerError.Code)
		os.Exit(1)
	}
	admin = kadm.NewClient(c)
	driver.Serve(map[string]func(*request) (answer, error){"hello": hello, "produce": produce, "consume": consume,
		"offsets": offsets, "times": times, "group": group, "committed": committed, "create": create,
		"describe": describe, "grow": grow, "configs": configs, "alter": alter, "delete_records": deleteRecords,
		"groups": groups, "describe_group": describeGroup, "delete_group": deleteGroup, "delete_topic": deleteTopic})
}

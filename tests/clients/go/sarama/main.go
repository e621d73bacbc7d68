// SPDX-License-Identifier: Apache-2.0

// Sarama behind the driver contract: sarama BOOTSTRAP.
package main

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"sluice.tests/clients/driver"
)

type (
	request = driver.Request
	answer  = driver.Answer
)

var (
	brokers []string
	codecs  = map[string]sarama.CompressionCodec{"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP,
		"snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD}
	acks = map[string]sarama.RequiredAcks{"0": sarama.NoResponse, "1": sarama.WaitForLocal, "all": sarama.WaitForAll}
)

// config leaves the protocol version at the library's default: what a user gets who sets nothing.
func config() *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = "sluice-matrix"
	c.Consumer.MaxWaitTime = 100 * time.Millisecond
	c.Admin.Timeout = driver.Wait
	return c
}

func hello(*request) (answer, error) {
	info, _ := debug.ReadBuildInfo()
	version := driver.Version("github.com/IBM/sarama", func(f func(string, string)) {
		for _, d := range info.Deps {
			f(d.Path, d.Version)
		}
	})
	return answer{"client": "sarama", "version": version, "cooperative": true, "static": true}, nil
}

func produce(req *request) (answer, error) {
	records, err := req.Records()
	if err != nil {
		return nil, err
	}
	c := config()
	c.Producer.Compression, c.Producer.RequiredAcks = codecs[req.Codec], acks[req.Acks]
	c.Producer.Return.Successes, c.Producer.Return.Errors = true, true
	c.Producer.MaxMessageBytes, c.Producer.Flush.Frequency = 16<<20, 20*time.Millisecond
	if req.Idempotent {
		c.Producer.Idempotent, c.Net.MaxOpenRequests = true, 1
	}
	p, err := sarama.NewSyncProducer(brokers, c)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	batch := []*sarama.ProducerMessage{}
	for _, r := range records {
		m := &sarama.ProducerMessage{Topic: req.Topic, Timestamp: time.UnixMilli(r.Timestamp)}
		if r.Key != nil {
			m.Key = sarama.ByteEncoder(r.Key)
		}
		if r.Value != nil {
			m.Value = sarama.ByteEncoder(r.Value)
		}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.Name), Value: h.Value})
		}
		batch = append(batch, m)
	}
	if err := p.SendMessages(batch); err != nil {
		var all sarama.ProducerErrors
		if errors.As(err, &all) {
			return nil, all[0].Err
		}
		return nil, err
	}
	at := [][2]int64{}
	for _, m := range batch {
		at = append(at, [2]int64{int64(m.Partition), m.Offset})
	}
	return answer{"sent": len(batch), "at": at}, nil
}

func recordOf(m *sarama.ConsumerMessage) *driver.Record {
	out := &driver.Record{Partition: m.Partition, Offset: m.Offset, Timestamp: m.Timestamp.UnixMilli(), Key: m.Key,
		Value: m.Value}
	for _, h := range m.Headers {
		out.Headers = append(out.Headers, driver.Header{Name: string(h.Key), Value: h.Value})
	}
	return out
}

func consume(req *request) (answer, error) {
	taker := driver.NewTaker(req)
	conf := config()
	conf.Consumer.Return.Errors = true
	c, err := sarama.NewConsumer(brokers, conf)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	messages, failed := make(chan *sarama.ConsumerMessage), make(chan error, 16)
	stop := make(chan struct{})
	defer close(stop)
	for _, p := range taker.Left() {
		part, err := c.ConsumePartition(req.Topic, p, req.From[p])
		if err != nil {
			return nil, err
		}
		defer part.AsyncClose()
		go forward(part, messages, failed, stop)
	}
	limit := time.After(req.Limit(driver.Wait))
	for len(taker.Left()) > 0 {
		select {
		case m := <-messages:
			taker.Take(recordOf(m))
		case err := <-failed:
			return nil, err
		case <-limit:
			return taker.Result()
		}
	}
	return taker.Result()
}

func forward(part sarama.PartitionConsumer, messages chan<- *sarama.ConsumerMessage, failed chan<- error,
	stop <-chan struct{}) {
	for {
		select {
		case m, ok := <-part.Messages():
			if !ok {
				return
			}
			select {
			case messages <- m:
			case <-stop:
				return
			}
		case e, ok := <-part.Errors():
			if ok {
				failed <- e.Err
			}
			return
		case <-stop:
			return
		}
	}
}

func lookup(req *request, at func(int32) int64, parts []int32) (answer, error) {
	c, err := sarama.NewClient(brokers, config())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	out := driver.Offsets{}
	for _, p := range parts {
		if out[p], err = c.GetOffset(req.Topic, p, at(p)); err != nil {
			return nil, err
		}
	}
	return answer{"offsets": out}, nil
}

func offsets(req *request) (answer, error) {
	at, ok := map[string]int64{"earliest": sarama.OffsetOldest, "latest": sarama.OffsetNewest}[req.At]
	if !ok {
		return nil, driver.Lacking("no lookup of the highest timestamp")
	}
	return lookup(req, func(int32) int64 { return at }, req.List())
}

func times(req *request) (answer, error) {
	parts := []int32{}
	for p := range req.Ts {
		parts = append(parts, p)
	}
	return lookup(req, func(p int32) int64 { return req.Ts[p] }, parts)
}

// handler is one member; Sarama calls ConsumeClaim for each partition it has, side by side. A
// cooperative member keeps its session while claims come and go, so they tell what it has.
type handler struct {
	req      *request
	index    int
	progress *driver.Progress
	mu       sync.Mutex
	mine     map[int32]bool
}

func (h *handler) Setup(sarama.ConsumerGroupSession) error { return nil }

func (h *handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h *handler) claim(partition int32, gained bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if gained {
		h.mine[partition] = true
	} else {
		delete(h.mine, partition)
	}
	list := []int32{}
	for p := range h.mine {
		list = append(list, p)
	}
	h.progress.Assigned(h.index, list)
}

func (h *handler) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	h.claim(claim.Partition(), true)
	defer h.claim(claim.Partition(), false)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case m, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			h.progress.Took(h.index, m.Partition, m.Offset)
			s.MarkMessage(m, "")
			if m.Offset+1 >= claim.HighWaterMarkOffset() {
				// Commit tells nobody how it went; the runner asks the broker.
				s.Commit()
				h.progress.Committed(h.index, driver.Offsets{m.Partition: m.Offset + 1}, nil)
			}
		case <-tick.C:
			if h.progress.Finished() {
				return nil
			}
		case <-s.Context().Done():
			return nil
		}
	}
}

func member(req *request, i int, progress *driver.Progress) error {
	conf := config()
	conf.Consumer.Offsets.Initial = sarama.OffsetOldest
	conf.Consumer.Offsets.AutoCommit.Enable = false
	conf.Consumer.Group.Session.Timeout = 10 * time.Second
	conf.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	if req.Strategy == "cooperative" {
		conf.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{
			sarama.NewBalanceStrategyCooperativeSticky()}
	}
	if req.Instances != nil {
		conf.Consumer.Group.InstanceId = req.Instances[i]
	}
	g, err := sarama.NewConsumerGroup(brokers, req.Group, conf)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		var err error
		for err == nil && ctx.Err() == nil {
			err = g.Consume(ctx, []string{req.Topic}, &handler{req: req, index: i, progress: progress, mine: map[int32]bool{}})
		}
		done <- err
	}()
	for !progress.Finished() {
		select {
		case err := <-done:
			cancel()
			g.Close()
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
	cancel()
	<-done
	return g.Close()
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

// withAdmin makes a client each time: Sarama's keeps what it knew of a topic's partitions.
func withAdmin(f func(sarama.ClusterAdmin) (answer, error)) (answer, error) {
	a, err := sarama.NewClusterAdmin(brokers, config())
	if err != nil {
		return nil, err
	}
	defer a.Close()
	return f(a)
}

func committed(req *request) (answer, error) {
	return withAdmin(func(a sarama.ClusterAdmin) (answer, error) {
		got, err := a.ListConsumerGroupOffsets(req.Group, nil)
		if err != nil {
			return nil, err
		}
		out := driver.Offsets{}
		for p, b := range got.Blocks[req.Topic] {
			out[p] = b.Offset
		}
		return answer{"offsets": out}, nil
	})
}

func create(req *request) (answer, error) {
	return withAdmin(func(a sarama.ClusterAdmin) (answer, error) {
		entries := map[string]*string{}
		for k, v := range req.Configs {
			entries[k] = &v
		}
		return nil, a.CreateTopic(req.Topic, &sarama.TopicDetail{NumPartitions: req.Count(), ReplicationFactor: 1,
			ConfigEntries: entries}, false)
	})
}

func describe(req *request) (answer, error) {
	return withAdmin(func(a sarama.ClusterAdmin) (answer, error) {
		got, err := a.DescribeTopics([]string{req.Topic})
		if err != nil {
			return nil, err
		}
		if got[0].Err != sarama.ErrNoError {
			return nil, got[0].Err
		}
		return answer{"partitions": len(got[0].Partitions)}, nil
	})
}

func grow(req *request) (answer, error) {
	return withAdmin(func(a sarama.ClusterAdmin) (answer, error) {
		return nil, a.CreatePartitions(req.Topic, int32(req.Total), nil, false)
	})
}

func configs(req *request) (answer, error) {
	return withAdmin(func(a sarama.ClusterAdmin) (answer, error) {
		got, err := a.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: req.Topic})
		out := map[string]string{}
		for _, e := range got {
			out[e.Name] = e.Value
		}
		return answer{"configs": out}, err
	})
}

func alter(req *request) (answer, error) {
	return withAdmin(func(a sarama.ClusterAdmin) (answer, error) {
		entries := map[string]sarama.IncrementalAlterConfigsEntry{}
		for k, v := range req.Set {
			entries[k] = sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &v}
		}
		return nil, a.IncrementalAlterConfig(sarama.TopicResource, req.Topic, entries, false)
	})
}

func deleteRecords(req *request) (answer, error) {
	return withAdmin(func(a sarama.ClusterAdmin) (answer, error) {
		return nil, a.DeleteRecords(req.Topic, req.Before)
	})
}

func groups(*request) (answer, error) {
	return withAdmin(func(a sarama.ClusterAdmin) (answer, error) {
		got, err := a.ListConsumerGroups()
		names := []string{}
		for g := range got {
			names = append(names, g)
		}
		return answer{"groups": names}, err
	})
}

func describeGroup(req *request) (answer, error) {
	return withAdmin(func(a sarama.ClusterAdmin) (answer, error) {
		got, err := a.DescribeConsumerGroups([]string{req.Group})
		if err != nil {
			return nil, err
		}
		if got[0].Err != sarama.ErrNoError {
			return nil, got[0].Err
		}
		return answer{"state": got[0].State, "members": len(got[0].Members)}, nil
	})
}

func deleteGroup(req *request) (answer, error) {
	return withAdmin(func(a sarama.ClusterAdmin) (answer, error) { return nil, a.DeleteConsumerGroup(req.Group) })
}

func deleteTopic(req *request) (answer, error) {
	return withAdmin(func(a sarama.ClusterAdmin) (answer, error) { return nil, a.DeleteTopic(req.Topic) })
}

func main() {
	brokers = []string{os.Args[1]}
	driver.Serve(map[string]func(*request) (answer, error){"hello": hello, "produce": produce, "consume": consume,
		"offsets": offsets, "times": times, "group": group, "committed": committed, "create": create,
		"describe": describe, "grow": grow, "configs": configs, "alter": alter, "delete_records": deleteRecords,
		"groups": groups, "describe_group": describeGroup, "delete_group": deleteGroup, "delete_topic": deleteTopic})
}

// SPDX-License-Identifier: Apache-2.0

// Package driver is the driver contract (tests/clients/README.md) for clients that are Go libraries.
package driver

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"os"
	"sort"
	"strings"
	"sync"
	"time"
)

// Wait bounds every call to the broker.
const Wait = 20 * time.Second

// Header is a name and a value; a nil value is a null. In JSON it is an array of both.
type Header struct {
	Name  string
	Value []byte
}

// UnmarshalJSON reads ["name", base64 or null].
func (h *Header) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&h.Name, &h.Value})
}

// ToProduce is one line of a file of records.
type ToProduce struct {
	Key       []byte   `json:"k"`
	Value     []byte   `json:"v"`
	Headers   []Header `json:"h"`
	Timestamp int64    `json:"t"`
}

// Record is one that was read.
type Record struct {
	Partition  int32
	Offset     int64
	Timestamp  int64
	Key, Value []byte
	Headers    []Header
}

// Offsets are by partition.
type Offsets map[int32]int64

// Request is one line of the runner; which fields matter depends on Do.
type Request struct {
	Do         string            `json:"do"`
	Topic      string            `json:"topic"`
	Group      string            `json:"group"`
	File       string            `json:"file"`
	Codec      string            `json:"codec"`
	Acks       string            `json:"acks"`
	Idempotent bool              `json:"idempotent"`
	At         string            `json:"at"`
	Strategy   string            `json:"strategy"`
	Members    int               `json:"members"`
	Instances  []string          `json:"instances"`
	From       Offsets           `json:"from"`
	To         Offsets           `json:"to"`
	Ends       Offsets           `json:"ends"`
	Before     Offsets           `json:"before"`
	Ts         Offsets           `json:"ts"`
	Partitions json.RawMessage   `json:"partitions"` // a count, or a list of partitions
	Total      int               `json:"total"`
	Configs    map[string]string `json:"configs"`
	Set        map[string]string `json:"set"`
	Timeout    float64           `json:"timeout"`
}

// Count is Partitions as a number.
func (r *Request) Count() (n int32) { _ = json.Unmarshal(r.Partitions, &n); return }

// List is Partitions as a list.
func (r *Request) List() (l []int32) { _ = json.Unmarshal(r.Partitions, &l); return }

// Limit is the request's own time limit, or the one given.
func (r *Request) Limit(d time.Duration) time.Duration {
	if r.Timeout > 0 {
		return time.Duration(r.Timeout * float64(time.Second))
	}
	return d
}

// Answer is what a handler returns; nil if there is nothing to say but that it worked.
type Answer map[string]any

// Lacking is the error for what the client library does not have.
type Lacking string

func (l Lacking) Error() string { return string(l) }

// Records reads the file of what to produce.
func (r *Request) Records() ([]ToProduce, error) {
	f, err := os.Open(r.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []ToProduce
	for d := json.NewDecoder(f); d.More(); {
		var p ToProduce
		if err := d.Decode(&p); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func sized(h hash.Hash, b []byte) {
	n := int32(-1)
	if b != nil {
		n = int32(len(b))
	}
	binary.Write(h, binary.BigEndian, n)
	h.Write(b)
}

func canonical(h hash.Hash, r *Record) {
	binary.Write(h, binary.BigEndian, r.Offset)
	binary.Write(h, binary.BigEndian, r.Timestamp)
	sized(h, r.Key)
	sized(h, r.Value)
	binary.Write(h, binary.BigEndian, int32(len(r.Headers)))
	for _, x := range r.Headers {
		sized(h, []byte(x.Name))
		sized(h, x.Value)
	}
}

// Taker takes records of partitions [from, to) as they come.
type Taker struct {
	req   *Request
	mu    sync.Mutex
	count map[int32]int
	sum   map[int32]hash.Hash
	left  map[int32]bool
}

// NewTaker takes what the request names.
func NewTaker(req *Request) *Taker {
	t := &Taker{req: req, count: map[int32]int{}, sum: map[int32]hash.Hash{}, left: map[int32]bool{}}
	for p, o := range req.From {
		t.count[p], t.sum[p] = 0, sha256.New()
		if o < req.To[p] {
			t.left[p] = true
		}
	}
	return t
}

// Left lists the partitions that are not at their end.
func (t *Taker) Left() (out []int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for p := range t.left {
		out = append(out, p)
	}
	return
}

// Take hashes a record, and drops one outside the range.
func (t *Taker) Take(r *Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.Offset < t.req.From[r.Partition] || r.Offset >= t.req.To[r.Partition] {
		return
	}
	t.count[r.Partition]++
	canonical(t.sum[r.Partition], r)
	if r.Offset+1 >= t.req.To[r.Partition] {
		delete(t.left, r.Partition)
	}
}

// Result is the answer, or an error if a partition is not at its end.
func (t *Taker) Result() (Answer, error) {
	if left := t.Left(); len(left) > 0 {
		return nil, fmt.Errorf("partitions %v did not come to their end: %v", left, t.count)
	}
	parts := map[int32]any{}
	for p, n := range t.count {
		parts[p] = Answer{"count": n, "sha256": hex.EncodeToString(t.sum[p].Sum(nil))}
	}
	return Answer{"partitions": parts}, nil
}

// Progress is what the members of a group have read and committed between them.
type Progress struct {
	mu        sync.Mutex
	req       *Request
	limit     time.Time
	seen      map[[2]int64]bool
	committed Offsets
	assigned  []map[int32]bool
	pending   []Offsets
	lastError error
	done      Answer // set once: the first member to see the end leaves, and the others get its partitions
}

// NewProgress starts the clock of a group.
func NewProgress(req *Request) *Progress {
	p := &Progress{req: req, limit: time.Now().Add(req.Limit(40 * time.Second)), seen: map[[2]int64]bool{},
		committed: Offsets{}, assigned: make([]map[int32]bool, req.Members), pending: make([]Offsets, req.Members)}
	for i := range p.pending {
		p.pending[i] = Offsets{}
	}
	return p
}

// Assigned says which partitions a member has now.
func (p *Progress) Assigned(i int, parts []int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.assigned[i] = map[int32]bool{}
	for _, n := range parts {
		p.assigned[i][n] = true
	}
	for n := range p.pending[i] {
		if !p.assigned[i][n] {
			delete(p.pending[i], n)
		}
	}
}

// Took notes a record that a member read.
func (p *Progress) Took(i int, partition int32, offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[[2]int64{int64(partition), offset}] = true
	p.pending[i][partition] = offset + 1
}

// ToCommit is what a member has read and not yet committed.
func (p *Progress) ToCommit(i int) Offsets {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := Offsets{}
	for n, o := range p.pending[i] {
		out[n] = o
	}
	return out
}

// Committed takes the outcome of a commit of what ToCommit said.
func (p *Progress) Committed(i int, what Offsets, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.lastError = err
		return
	}
	for n, o := range what {
		p.committed[n] = o
		if p.pending[i][n] == o {
			delete(p.pending[i], n)
		}
	}
}

func (p *Progress) complete() bool {
	if p.done == nil && p.reached() {
		p.done = p.answer()
	}
	return p.done != nil
}

func (p *Progress) reached() bool {
	owned := map[int32]bool{}
	for _, a := range p.assigned {
		if len(a) == 0 {
			return false
		}
		for n := range a {
			if owned[n] {
				return false // one of the two does not know yet
			}
			owned[n] = true
		}
	}
	for n, o := range p.req.Ends {
		if o > p.req.From[n] && p.committed[n] < o {
			return false
		}
	}
	return true
}

// Finished is true when all is read and committed, or time is up.
func (p *Progress) Finished() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.complete() || time.Now().After(p.limit)
}

// Result is the answer, or an error if time was up.
func (p *Progress) Result() (Answer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.complete() {
		return nil, fmt.Errorf("assigned %v, committed %v of %v, last error of a commit: %v", p.assigned, p.committed,
			p.req.Ends, p.lastError)
	}
	return p.done, nil
}

func (p *Progress) answer() Answer {
	members, records := [][]int32{}, [][2]int64{}
	for _, a := range p.assigned {
		parts := []int32{}
		for n := range a {
			parts = append(parts, n)
		}
		sort.Slice(parts, func(i, j int) bool { return parts[i] < parts[j] })
		members = append(members, parts)
	}
	for r := range p.seen {
		records = append(records, r)
	}
	return Answer{"members": members, "records": records}
}

// Version finds a module's version in the list that the build embeds.
func Version(module string, deps func(func(path, version string))) (out string) {
	deps(func(path, version string) {
		if path == module {
			out = strings.TrimPrefix(version, "v")
		}
	})
	return
}

// Serve answers one JSON request a line until stdin ends.
func Serve(handlers map[string]func(*Request) (Answer, error)) {
	out := json.NewEncoder(os.Stdout)
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	for in.Scan() {
		var req Request
		var answer Answer
		err := json.Unmarshal(in.Bytes(), &req)
		if err == nil {
			if h := handlers[req.Do]; h != nil {
				answer, err = h(&req)
			} else {
				err = Lacking("not in this client")
			}
		}
		if answer == nil {
			answer = Answer{}
		}
		if l, ok := err.(Lacking); ok {
			answer = Answer{"lacking": string(l)}
		} else if err != nil {
			answer = Answer{"error": err.Error()}
		}
		answer["ok"] = err == nil
		if err := out.Encode(answer); err != nil {
			os.Exit(1)
		}
	}
}

package simulation_test

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fault is something that happens to the stream. inject returns when it is over.
type fault struct {
	name string
	// peaceful says that nothing breaks: then the broker is told everything, and not one output comes twice.
	peaceful bool
	inject   func(w *world)
}

// maxPartitions bounds the growth of a topic.
const maxPartitions = 8

func faults() []fault {
	list := []fault{
		{"SIGTERM and restart", true, restart},
		{"a process joins", true, join},
		{"a process leaves", true, leave},
		{"partitions added", true, expand},
		{"poison", true, poison},
		{"transaction aborted", true, func(w *world) { w.transact(false) }},
		{"transaction committed", true, func(w *world) { w.transact(true) }},
		{"backlog", true, func(w *world) { w.traffic.write(100 + w.random.IntN(400)) }},
		{"kill -9", false, kill},
		{"drain with nothing published", false, drain},
		{"kill -9 of all", false, killAll},
		{"join and leave storm", false, storm},
		{"partition leader moved", false, moveLeaders},
		{"coordinator moved", false, func(w *world) { w.busy(w.between(0, time.Second), w.cluster.RehashCoordinators) }},
	}
	return append(list, networkFaults()...)
}

// busy writes a burst of events, lets d pass, does what is to be done in the midst of it, and writes some more.
func (w *world) busy(d time.Duration, do func()) {
	w.traffic.write(20 + w.random.IntN(80))
	time.Sleep(d)
	do()
	w.traffic.write(5 + w.random.IntN(20))
}

// pass lets d pass, and for some faults a process come or go in the midst of it: a group that rebalances while nothing can be
// published, or nobody reached, has to give up what it holds.
func (w *world) pass(d time.Duration) {
	time.Sleep(d / 2)
	switch n := len(w.processes); {
	case w.random.IntN(2) == 0:
	case n == 1 || (n == 2 && w.random.IntN(2) == 0):
		w.start()
	case w.random.IntN(4) == 0:
		w.kill(w.any())
	default:
		w.stop(w.any())
	}
	time.Sleep(d / 2)
}

// any returns one of the processes.
func (w *world) any() *process { return w.processes[w.random.IntN(len(w.processes))] }

// soon is an instant while a burst is being handled, mostly.
func (w *world) soon() time.Duration {
	return w.between(0, pick(w.random, 5*time.Millisecond, 50*time.Millisecond, time.Second))
}

func restart(w *world) {
	w.busy(w.soon(), func() {
		w.stop(w.any())
		time.Sleep(w.between(0, 5*time.Second))
		w.start()
	})
}

func join(w *world) {
	if len(w.processes) == 3 {
		leave(w)
		return
	}
	w.busy(w.soon(), func() { w.start() })
}

func leave(w *world) {
	if len(w.processes) == 1 {
		join(w)
		return
	}
	w.busy(w.soon(), func() { w.stop(w.any()) })
}

func kill(w *world) {
	w.busy(w.soon(), func() {
		w.kill(w.any())
		time.Sleep(w.between(0, 20*time.Second))
		w.start()
	})
}

func killAll(w *world) {
	w.busy(w.soon(), func() {
		n := len(w.processes)
		for len(w.processes) > 0 {
			w.kill(w.processes[0])
		}
		time.Sleep(w.between(0, time.Minute))
		w.traffic.write(50)
		for range n {
			w.start()
		}
	})
}

// drain ends generations, and processes, while their batches cannot be published and the coordinator is well.
func drain(w *world) {
	handle := w.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Topic: pick(w.random, topics.Results, topics.DeadLetters), Err: kerr.NotEnoughReplicas, Count: -1,
	})
	defer handle.Remove()
	w.traffic.poison(5)
	w.busy(w.soon(), func() {
		w.start()
		time.Sleep(w.between(0, 30*time.Second))
		w.stop(w.processes[0])
		time.Sleep(w.between(0, 10*time.Second))
	})
}

// storm lets processes come and go faster than the group settles.
func storm(w *world) {
	for range 3 + w.random.IntN(5) {
		switch {
		case len(w.processes) < 3 && w.random.IntN(2) == 0, len(w.processes) == 1:
			w.start()
		case w.random.IntN(3) == 0:
			w.kill(w.any())
		default:
			w.stop(w.any())
		}
		w.traffic.write(1 + w.random.IntN(30))
		time.Sleep(w.between(0, 5*time.Second))
	}
}

func expand(w *world) {
	admin := kadm.NewClient(w.traffic.client)
	topic := pick(w.random, topics.Orders, topics.Results)
	n := len(w.ends(topic))
	if n == maxPartitions {
		poison(w)
		return
	}
	w.busy(w.soon(), func() {
		if _, err := admin.CreatePartitions(context.WithoutCancel(w.t.Context()), 1, topic); err != nil {
			w.t.Fatalf("add a partition: %v", err)
		}
		if topic != topics.Orders {
			return
		}
		w.traffic.client.ForceMetadataRefresh()
		time.Sleep(5 * time.Second)
		w.traffic.turn <- struct{}{}
		w.traffic.partitions = n + 1
		<-w.traffic.turn
	})
}

func poison(w *world) {
	w.busy(w.soon(), func() { w.traffic.poison(5 + w.random.IntN(30)) })
}

func (w *world) transact(commit bool) {
	w.busy(w.soon(), func() {
		if err := w.traffic.transaction(1+w.random.IntN(40), w.between(0, 20*time.Second), commit); err != nil {
			w.t.Fatal(err)
		}
	})
}

func moveLeaders(w *world) {
	w.busy(w.soon(), func() {
		for range 1 + w.random.IntN(6) {
			topic := pick(w.random, topics.Orders, topics.Results, topics.DeadLetters)
			partition := int32(w.random.IntN(len(w.ends(topic))))                                                 //nolint:gosec // a few
			if err := w.cluster.MoveTopicPartition(topic, partition, int32(w.random.IntN(brokers))); err != nil { //nolint:gosec // a few
				w.t.Fatalf("move a leader: %v", err)
			}
			w.traffic.write(5)
			time.Sleep(w.soon())
		}
	})
}

// refusals are answers by which a broker refuses one kind of request, or says that it does not know what became of it.
func refusals() map[kmsg.Key][]*kerr.Error {
	coordinator := []*kerr.Error{
		kerr.NotCoordinator, kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress, kerr.UnknownMemberID,
		kerr.IllegalGeneration, kerr.RebalanceInProgress,
	}
	return map[kmsg.Key][]*kerr.Error{
		kmsg.Produce: {
			kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend,
			kerr.RequestTimedOut, kerr.KafkaStorageError, kerr.UnknownTopicOrPartition, kerr.CorruptMessage, kerr.NetworkException,
			kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerEpoch,
		},
		kmsg.Fetch:          {kerr.NotLeaderForPartition, kerr.UnknownTopicOrPartition, kerr.KafkaStorageError, kerr.FencedLeaderEpoch},
		kmsg.ListOffsets:    {kerr.NotLeaderForPartition, kerr.LeaderNotAvailable},
		kmsg.OffsetCommit:   append([]*kerr.Error{kerr.RequestTimedOut}, coordinator...),
		kmsg.OffsetFetch:    {kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.UnstableOffsetCommit},
		kmsg.Heartbeat:      coordinator,
		kmsg.JoinGroup:      {kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.UnknownMemberID},
		kmsg.SyncGroup:      coordinator,
		kmsg.InitProducerID: {kerr.CoordinatorLoadInProgress, kerr.NotCoordinator, kerr.UnknownServerError},
	}
}

// refuse lets the brokers answer requests of one kind with one error, for a while or a number of times.
func refuse(key kmsg.Key, codes []*kerr.Error) fault {
	return fault{name: key.Name() + " refused", inject: func(w *world) {
		f := kfake.Fault{Keys: []kmsg.Key{key}, Err: pick(w.random, codes...), Count: 1 + w.random.IntN(12)}
		if key == kmsg.Produce {
			f.Topic = pick(w.random, topics.Results, topics.DeadLetters)
		}
		lasts := w.between(time.Second, time.Minute)
		if w.random.IntN(4) == 0 {
			f.Count = -1
		}
		handle := w.cluster.Fault(f)
		defer handle.Remove()
		if key == kmsg.JoinGroup || key == kmsg.SyncGroup || key == kmsg.OffsetFetch {
			w.kill(w.any())
			w.start()
		}
		w.traffic.poison(2)
		w.busy(w.soon(), func() { w.pass(lasts) })
		w.tally.note(fmt.Sprintf("%s: %s", key.Name(), f.Err.Message), handle.Hits())
	}}
}

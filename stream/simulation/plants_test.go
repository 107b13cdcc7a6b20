package simulation_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// plant is a bug: in one file of the product, text that is replaced.
type plant struct {
	name, file, text, instead string
}

func plants() []plant {
	return []plant{
		{
			"commit before the acknowledgement", "consumer/worker.go",
			"		if !w.handle(polling, handling, h, records[:n]) {",
			"		w.position.acknowledge(records[n-1].Offset + 1)\n		if !w.handle(polling, handling, h, records[:n]) {",
		},
		{
			"a batch that the drain gives up counts as done", "consumer/worker.go",
			"				slog.Int64(\"offset\", records[0].Offset), slog.Int(\"records\", len(records)))\n			return false",
			"				slog.Int64(\"offset\", records[0].Offset), slog.Int(\"records\", len(records)))\n			return true",
		},
		{
			"a failed batch is passed over", "consumer/worker.go",
			"		w.position.pauseHandling(kindOf(err), err.Error())",
			"		w.position.pauseHandling(kindOf(err), err.Error())\n		if failing.attempts == 2 {\n			return true\n		}",
		},
		{
			"an offset is jumped over", "consumer/worker.go",
			"			offset = f.Next\n",
			"			offset = f.Next\n			if f.Next < f.HighWatermark {\n				offset++\n			}\n",
		},
		{
			"the last commit of a generation is left out", "consumer/generation.go",
			"	g.commitLast(handling)\n", "",
		},
		{
			"a dead letter is left out", "stream/stream.go",
			"	if err := m.time(stagePublish, func() error { return w.publish(ctx) }); err != nil {",
			"	if last := len(w.outputs) - 1; last > 0 && w.outputs[last].reject != nil {\n		w.records = w.records[:last]\n	}\n	if err := m.time(stagePublish, func() error { return w.publish(ctx) }); err != nil {",
		},
		{
			"a dead letter and a result", "stream/stream.go",
			"	if err := m.time(stagePublish, func() error { return w.publish(ctx) }); err != nil {",
			"	if len(w.outputs) > 3 && w.outputs[3].reject == nil {\n		w.records = append(w.records, deadLetter(w.pipeline.config.DeadLettersTopic, w.outputs[3].source, &schemas.Reject{Class: schemas.RejectDecode, Stage: stageDecode, Detail: \"planted\"}))\n	}\n	if err := m.time(stagePublish, func() error { return w.publish(ctx) }); err != nil {",
		},
		{
			"a value that depends on when it is made", "stream/stream.go",
			"	value, err := results.AppendTo(nil, &w.orders[o.order], &w.decisions[o.order])",
			"	if w.orders[o.order].OccurredAt.IsZero() {\n		w.orders[o.order].OccurredAt = time.Now()\n	}\n	value, err := results.AppendTo(nil, &w.orders[o.order], &w.decisions[o.order])",
		},
		{
			"a sequence number is used again", "producer/lane.go",
			"	p.lane.next = broker.NextSequence(p.lane.next, p.flight.batch.Count())\n",
			"	if p.lane.next%8 != 3 {\n		p.lane.next = broker.NextSequence(p.lane.next, p.flight.batch.Count())\n	}\n",
		},
		{
			"an unknown outcome counts as an acknowledgement", "producer/lane.go",
			"	err := p.send(ctx)\n",
			"	err := p.send(ctx)\n	if broker.KindOf(err) == broker.KindTimeout || broker.KindOf(err) == broker.KindUnreachable {\n		err = nil\n	}\n",
		},
		{
			"a refused sequence counts as an acknowledgement", "producer/lane.go",
			"	err := p.send(ctx)\n",
			"	err := p.send(ctx)\n	if broker.KindOf(err) == broker.KindSequence {\n		err = nil\n	}\n",
		},
		{
			"a publication that was held up is forgotten", "producer/worker.go",
			"		w.held = pub\n", "		w.held = &publication{}\n		return nil\n",
		},
		{
			"records of aborted transactions are taken", "broker/aborted.go",
			"	_, open := a.open[producer]\n	return open",
			"	_, open := a.open[producer]\n	return false && open",
		},
		{
			"an empty key is a null key", "broker/cursor.go",
			"	if n == 0 {\n		return []byte{}\n	}\n",
			"	if n == 0 {\n		return nil\n	}\n",
		},
		{
			"the end of a fetch is not acknowledged", "consumer/worker.go",
			"	w.position.acknowledge(f.Next)\n	f.Release()", "	f.Release()",
		},
		{
			"a fetch's memory is used again while its handler works", "consumer/worker.go",
			"	for records := f.Records; len(records) > 0; {\n",
			"	released := f\n	released.Release()\n	for records := f.Records; len(records) > 0; {\n",
		},
		{
			"a generation does not wait for its workers", "consumer/generation.go",
			"	all := g.drained(handling, &workers)\n",
			"	all := true\n	go g.drained(handling, &workers)\n",
		},
		{
			"a new process begins at the end of the log", "consumer/generation.go",
			"	if p.next >= 0 {\n		return p.next, nil\n	}\n",
			"	if bounds, err := g.client.Offsets(ctx, g.cfg.Topic, []int{p.partition}); err == nil && p.next >= 0 && g.gen.ID%4 == 3 {\n		p.acknowledge(bounds[p.partition].Latest)\n		return bounds[p.partition].Latest, nil\n	}\n	if p.next >= 0 {\n		return p.next, nil\n	}\n",
		},
	}
}

// TestPlantsFit keeps the bugs plantable: each text stands once in its file. Planting them is TestPlanted, under a tag.
func TestPlantsFit(t *testing.T) {
	for _, p := range plants() {
		source, err := os.ReadFile(filepath.Join("../..", p.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(source), p.text); n != 1 {
			t.Errorf("%s: its text stands %d times in %s, want once", p.name, n, p.file)
		}
	}
}

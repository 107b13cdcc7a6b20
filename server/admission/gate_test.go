package admission_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/trendbuy/riskscorer/server/admission"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// machine is two cores that work on one slice after the other, in the order in which slices come, as the scheduler of
// Go does with slices below 10 ms. Its time is the bubble's: nothing else on the machine disturbs it.
type machine struct {
	gate  *admission.Gate
	cores chan struct{}
}

const cores = 2

func newMachine() *machine {
	return &machine{gate: admission.New(cores), cores: make(chan struct{}, cores)}
}

func (m *machine) work(d time.Duration) {
	m.cores <- struct{}{}
	time.Sleep(d)
	<-m.cores
}

// outcome is what became of a load.
type outcome struct {
	offered, refused, late, shed int
	took                         []time.Duration // of those that were served in time, sorted
	worked                       time.Duration   // on those
	over                         time.Duration   // the load's time
}

// goodput is the share of the machine that went into answers in time.
func (o *outcome) goodput() float64 {
	return o.worked.Seconds() / o.over.Seconds() / cores
}

func (o *outcome) quantile(q float64) time.Duration {
	if len(o.took) == 0 {
		return 0
	}
	return o.took[min(len(o.took)-1, int(q*float64(len(o.took))))]
}

// load is an open loop: requests come at their times, whatever becomes of those before.
type load struct {
	class  admission.Class
	cost   time.Duration // on average; from half to one and a half times that
	bare   time.Duration // what it costs when it sheds; 0 for the same
	slices int           // that the work is cut into
	gap    time.Duration
	within time.Duration
	insist bool
}

// offered makes the load that many times what the machine can do.
func (l load) offered(times float64) load {
	l.gap = time.Duration(float64(l.cost) / cores / times)
	return l
}

func (m *machine) run(l load, over time.Duration) *outcome {
	var (
		o       outcome
		mu      sync.Mutex
		running sync.WaitGroup
		begin   = time.Now()
	)
	for i := range int(over / l.gap) {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * l.gap)))
		scale := 0.5 + float64(i*7919%1000)/1000
		running.Go(func() {
			came := time.Now()
			cost, shed, err := m.serve(l, scale)
			took := time.Since(came)
			mu.Lock()
			defer mu.Unlock()
			o.offered++
			switch {
			case err != nil:
				o.refused++
			case took > l.within:
				o.late++
			default:
				o.took = append(o.took, took)
				o.worked += cost
			}
			if shed {
				o.shed++
			}
		})
	}
	running.Wait()
	o.over = over
	slices.Sort(o.took)
	return &o
}

func (m *machine) serve(l load, scale float64) (cost time.Duration, shed bool, err error) {
	turn, err := m.gate.Enter(context.Background(), admission.Request{
		Class: l.class, Size: max(1, int(1000*scale)*int(l.class)), Due: time.Now().Add(l.within), Insists: l.insist,
	})
	if err != nil {
		return 0, false, err
	}
	defer turn.Leave()
	cost = l.cost
	if shed = turn.Sheds(); shed && l.bare > 0 {
		cost = l.bare
	}
	cost = time.Duration(float64(cost) * scale)
	for i := range l.slices {
		if i > 0 {
			if err := turn.Yield(context.Background()); err != nil {
				return 0, shed, err
			}
		}
		m.work(cost / time.Duration(l.slices))
	}
	turn.Done()
	return cost, shed, nil
}

// TestGoodputUnderOverload offers up to ten times of what the machine can do: what it does for answers in time stays at
// its capacity, and nothing that is served comes late.
func TestGoodputUnderOverload(t *testing.T) {
	for name, l := range map[string]load{
		"orders of 2 ms":            {class: admission.Order, cost: 2 * time.Millisecond, slices: 1, within: 100 * time.Millisecond},
		"orders of 5 ms, insisting": {class: admission.Order, cost: 5 * time.Millisecond, slices: 1, within: 100 * time.Millisecond, insist: true},
		"batches of 100 ms":         {class: admission.Batch, cost: 100 * time.Millisecond, slices: 32, within: time.Second},
		"batches with little time":  {class: admission.Batch, cost: 100 * time.Millisecond, slices: 32, within: 300 * time.Millisecond},
	} {
		over := 3 * time.Second
		if l.class == admission.Batch {
			over = 20 * time.Second
		}
		t.Run(name, func(t *testing.T) {
			for _, times := range []float64{0.8, 2, 5, 10} {
				synctest.Test(t, func(t *testing.T) {
					m := newMachine()
					o := m.run(l.offered(times), over)
					got := o.goodput()
					t.Logf("%4.1f times: goodput %.3f, refused %d, late %d of %d, p50 %v, p99 %v, limit %d", times, got, o.refused, o.late, o.offered,
						o.quantile(0.5).Round(time.Millisecond/10), o.quantile(0.99).Round(time.Millisecond/10), m.gate.State().Limit)
					if want := 0.9 * min(times, 1); got < want {
						t.Errorf("%v times: goodput %.3f, want %.3f", times, got, want)
					}
					if got := o.quantile(0.99); l.class == admission.Order && got > 50*time.Millisecond {
						t.Errorf("%v times: p99 %v, want a short line", times, got)
					}
					if times < 1 && o.refused > o.offered/100 {
						t.Errorf("%v times: %d of %d refused", times, o.refused, o.offered)
					}
					if o.late > o.offered/100 {
						t.Errorf("%v times: %d of %d late", times, o.late, o.offered)
					}
					if s := m.gate.State(); s.Running != 0 || s.Waiting != [2]int{} {
						t.Errorf("after the load: %+v", s)
					}
				})
			}
		})
	}
}

// TestBatchesDoNotStarveOrders puts ten times too many batches beside orders that need three tenths of the machine,
// and the other way round.
func TestBatchesDoNotStarveOrders(t *testing.T) {
	const over = 6 * time.Second
	orders := load{class: admission.Order, cost: time.Millisecond, slices: 1, within: 100 * time.Millisecond}
	batches := load{class: admission.Batch, cost: 60 * time.Millisecond, slices: 30, within: time.Second}
	for _, c := range []struct {
		name                    string
		orders, batches         float64 // offered
		wantOrders, wantBatches float64 // goodput, at least
		wantOrdersP99           time.Duration
	}{
		{"few orders", 0.3, 10, 0.29, 0.6, 10 * time.Millisecond},
		{"both too many", 10, 10, 0.65, 0.2, 100 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMachine()
				var o, b *outcome
				var both sync.WaitGroup
				both.Go(func() { o = m.run(orders.offered(c.orders), over) })
				both.Go(func() { b = m.run(batches.offered(c.batches), over) })
				both.Wait()
				t.Logf("orders: goodput %.3f, p99 %v, refused %d of %d; batches: %.3f, p99 %v, late %d", o.goodput(), o.quantile(0.99), o.refused, o.offered,
					b.goodput(), b.quantile(0.99), b.late)
				if got := o.goodput(); got < c.wantOrders {
					t.Errorf("orders: goodput %.3f, want %.3f", got, c.wantOrders)
				}
				if got := o.quantile(0.99); got > c.wantOrdersP99 {
					t.Errorf("orders: p99 %v, want %v", got, c.wantOrdersP99)
				}
				if got := b.goodput(); got < c.wantBatches {
					t.Errorf("batches: goodput %.3f, want %.3f", got, c.wantBatches)
				}
			})
		})
	}
}

// TestBatchesOfAFewCallersWait has four callers send the largest batches one after another: none is refused or goes without
// its reasons, for what a batch waits is far within its time.
func TestBatchesOfAFewCallersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		l := load{class: admission.Batch, cost: 40 * time.Millisecond, slices: 16, within: 2 * time.Second}
		var callers sync.WaitGroup
		for range 4 {
			callers.Go(func() {
				for range 50 {
					if _, shed, err := m.serve(l, 1); err != nil || shed {
						t.Errorf("shed %v, %v", shed, err)
					}
				}
			})
		}
		callers.Wait()
	})
}

// TestShedsBeforeItRefuses offers twice of what the machine explains and half of what it scores.
func TestShedsBeforeItRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const over = 30 * time.Second
		m := newMachine()
		l := load{class: admission.Order, cost: 4 * time.Millisecond, bare: time.Millisecond, slices: 1, within: 200 * time.Millisecond}
		o := m.run(l.offered(2), over)
		t.Logf("refused %d, late %d, shed %d of %d, p99 %v", o.refused, o.late, o.shed, o.offered, o.quantile(0.99))
		if o.shed < o.offered*8/10 || o.refused+o.late > o.offered/100 {
			t.Errorf("of %d: %d shed, %d refused, %d late; want nearly all served, most without reasons", o.offered, o.shed, o.refused, o.late)
		}
		time.Sleep(31 * time.Second)
		if got := m.gate.State().Step; got != admission.Full {
			t.Errorf("step %v after the load, want Full", got)
		}
	})
}

// TestTooLittleTime asks for what cannot be: it is refused before it works, and the gate's estimate does not stay wrong.
func TestTooLittleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		l := load{class: admission.Batch, cost: 100 * time.Millisecond, slices: 10, within: time.Second}
		m.run(l.offered(0.5), 5*time.Second)
		busy, err := m.gate.Enter(context.Background(), admission.Request{Class: admission.Order, Size: 1, Due: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		short := admission.Request{Class: admission.Batch, Size: 1000, Due: time.Now().Add(50 * time.Millisecond)}
		if err := m.gate.Expect(short); !errors.Is(err, admission.ErrLate) {
			t.Errorf("Expect: %v, want ErrLate", err)
		}
		if _, err := m.gate.Enter(context.Background(), short); !errors.Is(err, admission.ErrLate) {
			t.Errorf("Enter: %v, want ErrLate", err)
		}
		busy.Leave()
		if turn, err := m.gate.Enter(context.Background(), short); err != nil {
			t.Errorf("an idle gate does not try: %v", err)
		} else {
			turn.Leave()
		}
	})
}

// TestGoneAtItsTurn lets a client go in the moment in which its turn comes.
func TestGoneAtItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := admission.New(1)
		for range 500 {
			first, err := gate.Enter(context.Background(), admission.Request{Size: 1, Due: time.Now().Add(time.Second)})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			var waiting sync.WaitGroup
			waiting.Go(func() {
				if turn, err := gate.Enter(ctx, admission.Request{Size: 1, Due: time.Now().Add(time.Second)}); err == nil {
					turn.Leave()
				}
			})
			synctest.Wait()
			cancel() // it learns of that, but before it is out of the line its turn has come
			first.Leave()
			waiting.Wait()
			if s := gate.State(); s.Running != 0 {
				t.Fatalf("%d turns run after all have gone", s.Running)
			}
		}
	})
}

// TestCancelledRequestsLeaveNothing lets clients go while they wait and between two slices.
func TestCancelledRequestsLeaveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		var clients sync.WaitGroup
		for i := range 2000 {
			clients.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i%7)*time.Millisecond)
				defer cancel()
				class := admission.Class(i % 2)
				turn, err := m.gate.Enter(ctx, admission.Request{Class: class, Size: 1, Due: time.Now().Add(time.Second)})
				if err != nil {
					return
				}
				defer turn.Leave()
				for range 3 {
					m.work(time.Millisecond)
					if err := turn.Yield(ctx); err != nil {
						return
					}
				}
				turn.Done()
			})
			time.Sleep(200 * time.Microsecond)
		}
		clients.Wait()
		if s := m.gate.State(); s.Running != 0 || s.Waiting != [2]int{} {
			t.Errorf("after all have gone: %+v", s)
		}
	})
}

package stream_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/trendbuy/riskscorer/ordergen"
)

// The variables of a process that is a generator instead of a test: where to call, at which rate (0: 8 clients, each one
// call after the other) and for how long.
const (
	generateAt   = "GENERATE_AT"
	generateRate = "GENERATE_RATE"
	generateFor  = "GENERATE_FOR"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(generateAt); addr != "" {
		if err := generate(addr, os.Getenv(generateRate), os.Getenv(generateFor)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// calls is what a generator saw. Times are in milliseconds from when a call was meant to start.
type calls struct {
	Rate     float64 // answered, a second
	P50, P99 float64
	Failed   int64
}

// generated lets another process call, so that what the calls cost the caller is not the door's scheduler's to share out.
func generated(tb testing.TB, addr string, rate float64, over time.Duration) calls {
	tb.Helper()
	command := exec.CommandContext(tb.Context(), os.Args[0])
	command.Env = append(os.Environ(), generateAt+"="+addr, generateRate+"="+strconv.FormatFloat(rate, 'f', -1, 64), generateFor+"="+over.String())
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		tb.Fatal("generator: ", err)
	}
	var c calls
	if err := json.Unmarshal(out, &c); err != nil {
		tb.Fatalf("generator: %v of %q", err, out)
	}
	return c
}

func generate(addr, rateText, overText string) error {
	rate, err := strconv.ParseFloat(rateText, 64)
	if err != nil {
		return err
	}
	over, err := time.ParseDuration(overText)
	if err != nil {
		return err
	}
	g := &generator{addr: addr}
	begin := time.Now()
	if rate == 0 {
		g.closedLoop(begin.Add(over))
	} else {
		g.openLoop(begin, rate, over)
	}
	if len(g.took) == 0 {
		return fmt.Errorf("no call was answered, %d failed", g.failed.Load())
	}
	slices.Sort(g.took)
	at := func(q float64) float64 { return float64(g.took[int(q*float64(len(g.took)))].Microseconds()) / 1e3 }
	return json.NewEncoder(os.Stdout).Encode(calls{
		Rate: float64(len(g.took)) / time.Since(begin).Seconds(), P50: at(0.5), P99: at(0.99), Failed: g.failed.Load(),
	})
}

type generator struct {
	addr   string
	failed atomic.Int64
	mu     sync.Mutex
	took   []time.Duration
}

func (g *generator) closedLoop(end time.Time) {
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for call := g.caller(); time.Now().Before(end); {
				call(time.Now())
			}
		})
	}
	clients.Wait()
}

func (g *generator) openLoop(begin time.Time, rate float64, over time.Duration) {
	due := make(chan time.Time, int(rate*over.Seconds())+1)
	var clients sync.WaitGroup
	for range 64 {
		clients.Go(func() {
			call := g.caller()
			for at := range due {
				call(at)
			}
		})
	}
	for i := range cap(due) {
		at := begin.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		time.Sleep(time.Until(at))
		due <- at
	}
	close(due)
	clients.Wait()
}

// caller returns a function that scores an order on a connection of its own; the time is when it was meant to start.
func (g *generator) caller() func(at time.Time) {
	order := ordergen.New(ordergen.Config{Seed: 99}).Next()
	body := order.AppendJSON(nil)
	text := fmt.Sprintf("POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		return func(time.Time) { g.failed.Add(1) }
	}
	in := bufio.NewReader(conn)
	return func(at time.Time) {
		_, _ = io.WriteString(conn, text)
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			g.failed.Add(1)
			return
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			g.failed.Add(1)
			return
		}
		g.mu.Lock()
		g.took = append(g.took, time.Since(at))
		g.mu.Unlock()
	}
}

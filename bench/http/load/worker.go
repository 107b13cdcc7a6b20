package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// worker is one connection. It dials anew after a failure, and where the server closes.
type worker struct {
	target Target
	result Result

	conn    net.Conn // nil while there is none
	reader  *bufio.Reader
	release func() bool
	body    bytes.Buffer
}

func (w *worker) run(ctx context.Context, a *arrivals) {
	for {
		due, number, ok := a.next(ctx)
		if !ok {
			return
		}
		status, err := w.exchange(ctx, w.target.Requests[number%len(w.target.Requests)])
		if err != nil {
			w.close()
			w.result.Errors++
			w.result.Error = err
			continue
		}
		w.result.Answers[status]++
		if status/100 != 2 {
			continue
		}
		w.result.OK = append(w.result.OK, time.Since(due))
		if len(w.target.Mark) > 0 && bytes.Contains(w.body.Bytes(), w.target.Mark) {
			w.result.Marked++
		}
	}
}

// exchange sends a request and reads the answer to its end; the body is then in w.body.
func (w *worker) exchange(ctx context.Context, request []byte) (int, error) {
	if w.conn == nil {
		if err := w.dial(ctx); err != nil {
			return 0, err
		}
	}
	_, failed := w.conn.Write(request)
	// A server may refuse before it has read the body, and close: its answer counts, not that the body did not fit.
	answer, err := http.ReadResponse(w.reader, nil)
	if err != nil {
		return 0, errors.Join(failed, err)
	}
	w.body.Reset()
	if _, err := w.body.ReadFrom(answer.Body); err != nil {
		return 0, err
	}
	if answer.Close || failed != nil {
		w.close()
	}
	return answer.StatusCode, answer.Body.Close()
}

// dial connects; the connection fails when ctx ends.
func (w *worker) dial(ctx context.Context) error {
	dial := w.target.Dial
	if dial == nil {
		dial = func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", w.target.Address)
		}
	}
	conn, err := dial(ctx)
	if err != nil {
		return err
	}
	w.conn, w.reader = conn, bufio.NewReader(conn)
	w.release = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return nil
}

func (w *worker) close() {
	if w.conn != nil {
		w.release()
		_ = w.conn.Close()
		w.conn = nil
	}
}

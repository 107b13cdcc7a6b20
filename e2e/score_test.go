//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trendbuy/riskscorer/e2e/verify"
)

const (
	batchSize = 1000
	// singles is how many orders also go through POST /score, one a request.
	singles = 300
)

// answer is what /score answers, and an item of /score/batch.
type answer struct {
	OrderID         string   `json:"order_id"`
	RiskScore       float64  `json:"risk_score"`
	RiskBand        string   `json:"risk_band"`
	ModelVersion    string   `json:"model_version"`
	TopContributors []string `json:"top_contributors"`
	PredictionID    string   `json:"prediction_id"`
	Explanation     string   `json:"explanation"`
}

// order is a good order and what the stream decided about it.
type order struct {
	json   []byte
	result verify.RiskResult
}

// compareScores sends every good order through /score/batch, and some through /score, and compares with the results.
func (r *run) compareScores(ctx context.Context, t *testing.T, processes []*service) {
	t.Helper()
	begin := time.Now()
	orders := r.decidedOrders(ctx, t)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: len(processes)}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	doors, ctx := errgroup.WithContext(ctx)
	for i, p := range processes {
		doors.Go(func() error {
			n := 0
			for batch := range slices.Chunk(orders, batchSize) {
				if n++; n%len(processes) != i {
					continue
				}
				if err := compareBatch(ctx, client, p.address, batch); err != nil {
					return fmt.Errorf("process %s: %w", p.name, err)
				}
			}
			return compareSingles(ctx, client, p.address, orders[len(orders)*i/len(processes):])
		})
	}
	if err := doors.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d orders through /score in %s", len(orders), time.Since(begin).Round(time.Millisecond))
}

func (r *run) decidedOrders(ctx context.Context, t *testing.T) []order {
	t.Helper()
	var orders []order
	for i := range r.records {
		record := &r.records[i]
		if record.Want != verify.Result {
			continue
		}
		result, err := r.decoder.Decode(ctx, r.ledger.Value(record.Source))
		if err != nil {
			t.Fatal(err)
		}
		orders = append(orders, order{record.JSON, result})
	}
	return orders
}

func compareBatch(ctx context.Context, client *http.Client, address string, batch []order) error {
	texts := make([][]byte, len(batch))
	for i := range batch {
		texts[i] = batch[i].json
	}
	body := append(append([]byte{'['}, bytes.Join(texts, []byte{','})...), ']')
	var answers []answer
	if err := post(ctx, client, "http://"+address+"/score/batch", body, &answers); err != nil {
		return err
	}
	if len(answers) != len(batch) {
		return fmt.Errorf("/score/batch: %d answers to %d orders", len(answers), len(batch))
	}
	for i := range batch {
		if err := compare(&answers[i], &batch[i].result); err != nil {
			return fmt.Errorf("/score/batch: %w", err)
		}
	}
	return nil
}

func compareSingles(ctx context.Context, client *http.Client, address string, orders []order) error {
	for i := range orders[:min(singles, len(orders))] {
		var a answer
		if err := post(ctx, client, "http://"+address+"/score", orders[i].json, &a); err != nil {
			return err
		}
		if err := compare(&a, &orders[i].result); err != nil {
			return fmt.Errorf("/score: %w", err)
		}
	}
	return nil
}

func compare(a *answer, r *verify.RiskResult) error {
	want := answer{r.OrderID, r.RiskScore, r.RiskBand, r.ModelVersion, r.TopContributors, r.PredictionID, r.Explanation}
	got, expected := fmt.Sprintf("%+v", *a), fmt.Sprintf("%+v", want)
	if got != expected {
		return fmt.Errorf("order %s: %s, the stream's result is %s", r.OrderID, got, expected)
	}
	return nil
}

func post(ctx context.Context, client *http.Client, url string, body []byte, answer any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d: %.300s", url, response.StatusCode, text)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	return nil
}

package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/open-feature/go-sdk/openfeature/isolated"
	"github.com/open-feature/go-sdk/openfeature/memprovider"

	"github.com/trendbuy/riskscorer/client"
)

// open starts the service with the demo model, and returns a client of it and what ends both.
func open(config client.Config) (*client.Client, func()) {
	s, err := serve()
	if err != nil {
		log.Panic(err)
	}
	config.URL = "http://" + s.address
	c, err := client.New(config)
	if err != nil {
		log.Panic(err)
	}
	return c, func() {
		c.Close()
		if err := s.stop(); err != nil {
			log.Panic(err)
		}
	}
}

func ExampleClient_Score() {
	c, end := open(client.Config{})
	defer end()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	d, err := c.Score(ctx, client.Order{OrderID: "ORD_12345", Features: map[string]any{
		"feature_discount_pct":           0.35,
		"feature_velocity_24h":           8420,
		"feature_hours_since_trend_peak": 6.5,
		"feature_device_type":            "mobile",
	}})
	if err != nil {
		fmt.Println("go on without a score:", err)
		return
	}
	fmt.Println(d.RiskScore, d.RiskBand, d.Explanation)
	fmt.Println(d.TopContributors)
	// Output:
	// 0.6958 HIGH EXACT
	// [High trend velocity Deep discount No purchase history]
}

func ExampleClient_Explain() {
	c, end := open(client.Config{})
	defer end()
	e, err := c.Explain(context.Background(), example())
	if err != nil {
		fmt.Println("go on without a score:", err)
		return
	}
	for _, r := range e.Reasons[:2] {
		fmt.Printf("%+.2f %s\n", r.Contribution, r.Text)
	}
	fmt.Printf("margin %.2f = %.2f + all %d\n", e.Margin, e.BaseValue, len(e.Reasons))
	// Output:
	// +0.94 High trend velocity
	// +0.65 Deep discount
	// margin 1.37 = -0.88 + all 8
}

func ExampleClient_ScoreBatch() {
	c, end := open(client.Config{})
	defer end()
	bad := client.Order{OrderID: "ORD_2", Features: example().Features}
	bad.Features["feature_discount_pct"] = 35
	items, err := c.ScoreBatch(context.Background(), []client.Order{example(), bad})
	if err != nil {
		fmt.Println("go on without scores:", err)
		return
	}
	for _, item := range items {
		if item.Problem != nil {
			fmt.Println(item.Problem.OrderID, item.Problem.Errors[0].Pointer, item.Problem.Errors[0].Detail)
			continue
		}
		fmt.Println(item.Decision.OrderID, item.Decision.RiskBand)
	}
	// Output:
	// ORD_12345 HIGH
	// ORD_2 /features/feature_discount_pct is outside its allowed range [0, 1]
}

// What a caller does about each kind of error.
func ExampleProblem() {
	c, end := open(client.Config{})
	defer end()
	order := example()
	delete(order.Features, "feature_device_type")
	_, err := c.Score(context.Background(), order)
	var p *client.Problem
	switch {
	case errors.Is(err, client.ErrOff), errors.Is(err, client.ErrOpen):
		fmt.Println("not asked")
	case errors.Is(err, context.DeadlineExceeded):
		fmt.Println("too late")
	case errors.As(err, &p) && p.Status == 422:
		fmt.Println("ours to mend:", p.Errors[0].Pointer, p.Errors[0].Detail)
	case err != nil:
		fmt.Println("go on without a score:", err)
	}
	// Output: ours to mend: /features/feature_device_type is required and missing
}

// An OpenFeature flag turns the call off at once, and nothing is sent.
func ExampleConfig_flags() {
	flags := isolated.NewAPI()
	provider := memprovider.NewInMemoryProvider(map[string]memprovider.InMemoryFlag{client.DefaultFlag: {
		State: memprovider.Enabled, DefaultVariant: "off", Variants: map[string]any{"on": true, "off": false},
	}})
	if err := flags.SetProviderAndWait(context.Background(), provider); err != nil {
		log.Panic(err)
	}
	defer func() {
		if err := flags.Shutdown(context.Background()); err != nil {
			log.Panic(err)
		}
	}()
	c, end := open(client.Config{Flags: flags.NewClient()})
	defer end()
	_, err := c.Score(context.Background(), example())
	fmt.Println(err)
	// Output: scoring is turned off by its flag
}

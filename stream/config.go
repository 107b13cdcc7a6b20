package stream

import (
	"fmt"
	"time"
)

// Config names the topics that results and dead letters go to, and says which events are out of the ordinary.
type Config struct {
	ResultsTopic     string `env:"RESULTS_TOPIC, default=risk-results" help:"topic of results"`
	DeadLettersTopic string `env:"DEAD_LETTERS_TOPIC, default=order-features-dead-letters" help:"topic of dead letters"`
	// RejectShare is the share of a partition's last 1,000 records that may be of one contract class. A zero, which no
	// setting gives, is as 1: never.
	RejectShare float64 `env:"REJECT_SHARE, default=0.5" help:"a partition pauses if more than this share of its last 1,000 records break the contract in one way (one feature_ class); 1 is never"`
	// MaxEventAge does not change a result's value, which holds nothing of a clock.
	MaxEventAge time.Duration `env:"MAX_EVENT_AGE, default=0" help:"the results of older events carry the header riskscorer.stale; 0 is never"`
}

// Validate names the variable of each setting that makes no sense.
func (c Config) Validate() error {
	if !(c.RejectShare > 0 && c.RejectShare <= 1) {
		return fmt.Errorf("REJECT_SHARE: %v is not in (0, 1]", c.RejectShare)
	}
	if c.MaxEventAge < 0 {
		return fmt.Errorf("MAX_EVENT_AGE: %v is negative", c.MaxEventAge)
	}
	return nil
}

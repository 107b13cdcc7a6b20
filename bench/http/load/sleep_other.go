//go:build !linux

package load

import (
	"context"
	"time"
)

func sleepUntil(ctx context.Context, at time.Time) { sleep(ctx, at) }

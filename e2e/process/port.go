package process

import (
	"context"
	"fmt"
	"net"
)

// FreePorts returns different ports of 127.0.0.1 that nothing listens on. They may be taken before the caller uses
// them, so a program that can choose a port by itself should.
func FreePorts(ctx context.Context, count int) ([]int, error) {
	ports := make([]int, count)
	for i := range ports {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close() // only then, so that no port is found twice
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

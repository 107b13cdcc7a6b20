package admission

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// maxClients bounds the clients that are told apart, at some 200 bytes each. The one that was quiet longest is
// forgotten first, and has a full bucket when it comes back.
const maxClients = 16384

// Clients holds a token bucket for each client. It is safe for concurrent use.
type Clients struct {
	rate  rate.Limit
	burst int

	mu      sync.Mutex
	buckets *simplelru.LRU[string, *rate.Limiter]
}

// NewClients returns buckets that refill at a rate, in requests a second, up to a burst, which is at least 1.
func NewClients(perSecond float64, burst int) (*Clients, error) {
	buckets, err := simplelru.NewLRU[string, *rate.Limiter](maxClients, nil)
	if err != nil {
		return nil, err
	}
	return &Clients{rate: rate.Limit(perSecond), burst: burst, buckets: buckets}, nil
}

// Take takes a token from the client's bucket. Where there is none it takes nothing, and returns how long the client
// has to wait for one.
func (c *Clients) Take(client string) (wait time.Duration, ok bool) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	bucket, known := c.buckets.Get(client)
	if !known {
		bucket = rate.NewLimiter(c.rate, c.burst)
		c.buckets.Add(client, bucket)
	}
	if bucket.AllowN(now, 1) {
		return 0, true
	}
	missing := 1 - bucket.TokensAt(now)
	return seconds(missing / float64(c.rate)), false
}

// Known is how many clients have a bucket.
func (c *Clients) Known() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.buckets.Len()
}

// AddressKey names the client behind a remote address (host:port): an IPv4 address by itself, an IPv6 address by its
// /64, which is what one client gets. What is no address is a client of its own name.
func AddressKey(remote string) string {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	addr := at.Addr().Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	network, err := addr.Prefix(64)
	if err != nil {
		return addr.String()
	}
	return network.String()
}

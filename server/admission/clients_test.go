package admission_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trendbuy/riskscorer/server/admission"
)

func TestBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clients, err := admission.NewClients(10, 3)
		if err != nil {
			t.Fatal(err)
		}
		take := func(client string, want bool, wait time.Duration) {
			t.Helper()
			got, ok := clients.Take(client)
			if ok != want || (got-wait).Abs() > time.Microsecond {
				t.Errorf("%s: %v after %v, want %v after %v", client, ok, got, want, wait)
			}
		}
		for range 3 {
			take("a", true, 0)
		}
		take("a", false, 100*time.Millisecond)
		take("a", false, 100*time.Millisecond) // a refusal costs nothing
		take("b", true, 0)
		time.Sleep(40 * time.Millisecond)
		take("a", false, 60*time.Millisecond)
		time.Sleep(61 * time.Millisecond)
		take("a", true, 0)
		time.Sleep(time.Hour)
		for range 3 {
			take("a", true, 0) // a bucket holds no more
		}
		take("a", false, 100*time.Millisecond)
	})
}

// TestClientsAreBounded has more clients than are remembered: those that are seen keep their buckets.
func TestClientsAreBounded(t *testing.T) {
	clients, err := admission.NewClients(0.001, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100_000 {
		if _, ok := clients.Take(fmt.Sprint("client ", i)); !ok {
			t.Fatalf("client %d is refused at once", i)
		}
		if _, ok := clients.Take("busy"); ok != (i == 0) {
			t.Fatalf("the busy client: %v after %d others, want its first only", ok, i)
		}
	}
	if n := clients.Known(); n > 16384 {
		t.Errorf("%d clients are remembered", n)
	}
}

func TestAddressKey(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:4711":             "192.0.2.7",
		"[::ffff:192.0.2.7]:1":       "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:443": "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::1]:9":   "2001:db8:1:2::/64",
		"[2001:db8:1:3::1]:9":        "2001:db8:1:3::/64",
		"[fe80::1%eth0]:9":           "fe80::/64",
		"@":                          "@",
	} {
		if got := admission.AddressKey(remote); got != want {
			t.Errorf("%s: %q, want %q", remote, got, want)
		}
	}
}

func TestMemory(t *testing.T) {
	m := admission.NewMemory(10)
	if !m.Take(7) || m.Take(4) || !m.Take(3) || m.Free() != 0 {
		t.Errorf("%d bytes are free after 7 and 3 of 10", m.Free())
	}
	m.Give(10)
	if m.Free() != 10 {
		t.Errorf("%d bytes are free, want 10", m.Free())
	}
}

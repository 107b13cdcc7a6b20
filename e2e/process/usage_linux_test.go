package process_test

import (
	"testing"
	"time"
)

func TestUsageIsTheChilds(t *testing.T) {
	busy := start(t, `while :; do :; done`)
	idle := start(t, `sleep 300`)
	var used time.Duration
	for deadline := time.Now().Add(30 * time.Second); used < 50*time.Millisecond; time.Sleep(10 * time.Millisecond) {
		var err error
		if used, err = busy.Used(); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("a busy child has used %v within 30 s", used)
		}
	}
	if used, err := idle.Used(); err != nil || used > 40*time.Millisecond {
		t.Errorf("an idle child has used %v (%v)", used, err)
	}
	now, most, err := busy.Memory()
	if err != nil || now < 100<<10 || most < now || most > 100<<20 {
		t.Errorf("a shell holds %d bytes and held %d (%v)", now, most, err)
	}
}

func TestUsageOfAnEndedChild(t *testing.T) {
	p := start(t, `exit 0`)
	<-p.Done()
	if _, err := p.Used(); err == nil {
		t.Error("Used of an ended child is no error")
	}
	if _, _, err := p.Memory(); err == nil {
		t.Error("Memory of an ended child is no error")
	}
}

package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is of the kernel's accounts in /proc.
const tick = 10 * time.Millisecond

// Used is the processor time that the child has used so far, user and system, without its own children; in steps of
// 10 ms. Linux only.
func (p *Process) Used() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.ID()))
	if err != nil {
		return 0, err
	}
	const user, system = 11, 12 // after the name, which may hold anything
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) <= system {
		return 0, errors.New("process: /proc tells no processor time")
	}
	var sum time.Duration
	for _, f := range []string{fields[user], fields[system]} {
		ticks, err := strconv.Atoi(f)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ticks) * tick
	}
	return sum, nil
}

// Memory is what the child holds of physical memory now, and the most that it has held, in bytes. Linux only.
func (p *Process) Memory() (now, most int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.ID()))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		for name, into := range map[string]*int64{"VmRSS:": &now, "VmHWM:": &most} {
			if rest, ok := strings.CutPrefix(line, name); ok {
				if *into, err = strconv.ParseInt(strings.Fields(rest)[0], 10, 64); err != nil {
					return 0, 0, err
				}
				*into <<= 10
			}
		}
	}
	return now, most, nil
}

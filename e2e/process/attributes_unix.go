//go:build unix && !linux

package process

import (
	"errors"
	"syscall"
)

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// LimitFiles is for Linux only.
func (p *Process) LimitFiles(uint64) error { return errors.ErrUnsupported }

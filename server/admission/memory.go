package admission

import "sync/atomic"

// Memory is a budget of bytes. It is safe for concurrent use.
type Memory struct{ free atomic.Int64 }

// NewMemory returns a budget of so many bytes.
func NewMemory(bytes int64) *Memory {
	m := &Memory{}
	m.free.Store(bytes)
	return m
}

// Take takes bytes, all or none, and says whether it did.
func (m *Memory) Take(bytes int64) bool {
	if m.free.Add(-bytes) >= 0 {
		return true
	}
	m.free.Add(bytes)
	return false
}

// Give gives back what Take took.
func (m *Memory) Give(bytes int64) { m.free.Add(bytes) }

// Free is how many bytes are left.
func (m *Memory) Free() int64 { return m.free.Load() }

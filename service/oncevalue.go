package service

import "sync"

// onceValue keeps the first value that was found without an error.
type onceValue[T any] struct {
	mu    sync.Mutex
	found bool
	value T
}

func (o *onceValue[T]) get(find func() (T, error)) (T, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.found {
		return o.value, nil
	}
	value, err := find()
	o.value, o.found = value, err == nil
	return value, err
}

package service

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// watch says when something may have changed at a path or in the directory at it. Directories are watched, not files:
// a file that is replaced would take its watch along. So are the one that the path is in, where mv puts another in its
// place, and those that links lead to, where Kubernetes swaps ..data.
type watch struct {
	path    string
	watcher *fsnotify.Watcher // nil where the system has none left: then polling has to do
	dirs    []string
}

func newWatch(path string, log *slog.Logger) *watch {
	w := &watch{path: path}
	if absolute, err := filepath.Abs(path); err == nil {
		w.path = absolute
	}
	var err error
	if w.watcher, err = fsnotify.NewWatcher(); err != nil {
		log.Warn("MODEL_PATH cannot be watched, it is only looked at every MODEL_POLL", "error", err)
		w.watcher = nil
	}
	return w
}

// events are hints; an error, of lost events say, is one too.
func (w *watch) events() (<-chan fsnotify.Event, <-chan error) {
	if w.watcher == nil {
		return nil, nil
	}
	return w.watcher.Events, w.watcher.Errors
}

// look watches what the path leads to by now, and then returns its fingerprint: what changes later is heard of.
func (w *watch) look() string {
	if w.watcher != nil {
		for _, dir := range w.dirs { // a watch stays with a directory that was moved away
			_ = w.watcher.Remove(dir)
		}
		w.dirs = append(w.dirs[:0], filepath.Dir(w.path), w.path)
		if target, err := filepath.EvalSymlinks(w.path); err == nil && target != w.path {
			w.dirs = append(w.dirs, filepath.Dir(target), target)
		}
		for _, dir := range w.dirs {
			_ = w.watcher.Add(dir) // what is not there is seen from its parent, or by polling
		}
	}
	return fingerprint(w.path)
}

func (w *watch) close() {
	if w.watcher != nil {
		_ = w.watcher.Close() // nothing is left to be done about it
	}
}

// fingerprint changes with the bundle's files: their names, sizes and times, and the digests in SHA256SUMS. It reads
// no more than that, so that it costs nothing beside scoring.
func fingerprint(path string) string {
	const maxSums = 64 << 10
	h := sha256.New()
	describe := func(name string) {
		info, err := os.Stat(name)
		if err != nil {
			_, _ = fmt.Fprintln(h, name, err)
			return
		}
		_, _ = fmt.Fprintln(h, name, info.Size(), info.ModTime().UnixNano())
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		target = path
	}
	describe(target)
	entries, err := os.ReadDir(target)
	if err != nil { // a tar, or nothing
		return hex.EncodeToString(h.Sum(nil))
	}
	for _, e := range entries {
		describe(filepath.Join(target, e.Name()))
	}
	if f, err := os.Open(filepath.Join(target, "SHA256SUMS")); err == nil { // #nosec G304 -- the operator names the directory
		_, _ = io.CopyN(h, f, maxSums)
		_ = f.Close()
	}
	return hex.EncodeToString(h.Sum(nil))
}

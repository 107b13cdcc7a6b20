package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"
)

const (
	// lookEvery is how often files are looked at. They are compared by content, which holds on every file system and
	// for links that are swapped, and costs tens of microseconds.
	lookEvery = 200 * time.Millisecond
	// maxFile bounds a file that is read: a certificate with its chain, a key, authorities or tokens.
	maxFile = 256 << 10
)

// files are what a door has on disk that belongs together, such as a certificate and its key. When they change they
// are taken into use anew; while they are broken, what was before stays in use.
type files struct {
	door, what string
	paths      []string
	// use takes the contents into use, or says what is wrong with them without quoting them.
	use func(contents [][]byte) error

	seen    [sha256.Size]byte // what was there when it was last looked at
	pending error             // what is wrong with it, not reported yet
}

// load reads the files for the first time.
func (f *files) load() error {
	contents, err := f.read()
	f.seen = digest(contents, err)
	if err != nil {
		return err
	}
	return f.use(contents)
}

// look reads the files again, and says whether they were taken into use, or what is wrong with them. Files that are
// being replaced do not fit each other for a moment: what is wrong counts when it is still so at the next look.
func (f *files) look() (used bool, err error) {
	contents, err := f.read()
	now := digest(contents, err)
	if now == f.seen {
		err, f.pending = f.pending, nil
		return false, err
	}
	f.seen = now
	if err == nil {
		err = f.use(contents)
	}
	f.pending = err
	return err == nil, nil
}

func (f *files) read() ([][]byte, error) {
	contents := make([][]byte, len(f.paths))
	for i, path := range f.paths {
		var err error
		if contents[i], err = readFile(path); err != nil {
			return nil, err
		}
	}
	return contents, nil
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s: over %d bytes", path, maxFile)
	}
	return text, errors.Join(err, file.Close())
}

func digest(contents [][]byte, err error) [sha256.Size]byte {
	h := sha256.New()
	if err != nil {
		fmt.Fprintf(h, "error %s", err)
	}
	for _, text := range contents {
		fmt.Fprintf(h, "%d ", len(text))
		h.Write(text)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// watch looks at the doors' files until ctx ends.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, d := range s.doors {
			for _, f := range d.files {
				s.lookAt(ctx, f)
			}
		}
	}
}

func (s *Server) lookAt(ctx context.Context, f *files) {
	used, err := f.look()
	if used {
		s.access.reloads.WithLabelValues(f.door, f.what, outcomeUsed).Inc()
		s.parts.Logger.LogAttrs(ctx, slog.LevelInfo, "files changed and were taken into use", slog.String("door", f.door), slog.String("what", f.what))
	}
	if err != nil {
		s.access.reloads.WithLabelValues(f.door, f.what, outcomeRefused).Inc()
		s.parts.Logger.LogAttrs(ctx, slog.LevelError, "files changed and are broken: what was before stays in use",
			slog.String("door", f.door), slog.String("what", f.what), slog.Any("error", err))
	}
}

package server

import (
	"errors"
	"fmt"
	"os"
	"strconv"
)

// logFile is a file of lines that is rotated by size: path is the current one, path.1 the one before, up to a count.
// It is used by one goroutine.
type logFile struct {
	path     string
	maxBytes int64
	files    int // that are kept, the current one included
	file     *os.File
	size     int64
	regular  bool // a pipe or a device is neither rotated nor synced
}

// openLogFile opens the file to append to it.
func openLogFile(path string, maxBytes int64, files int) (*logFile, error) {
	l := &logFile{path: path, maxBytes: maxBytes, files: files}
	return l, l.open()
}

func (l *logFile) open() error {
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) // #nosec G304 -- the operator names the file
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size, l.regular = f, info.Size(), info.Mode().IsRegular()
	return nil
}

// write appends whole lines, all or none, and rotates first where they would make the file too large.
func (l *logFile) write(lines []byte) error {
	if l.regular && l.size > 0 && l.size+int64(len(lines)) > l.maxBytes {
		if err := l.rotate(); err != nil {
			return fmt.Errorf("rotate: %w", err)
		}
	}
	if l.file == nil {
		if err := l.open(); err != nil {
			return err
		}
	}
	n, err := l.file.Write(lines)
	if err != nil {
		if n > 0 && l.regular { // half a line would spoil the next
			err = errors.Join(err, l.file.Truncate(l.size))
		}
		return err
	}
	l.size += int64(n)
	return nil
}

func (l *logFile) rotate() error {
	if err := l.close(); err != nil {
		return err
	}
	for i := l.files - 1; i > 0; i-- {
		from := l.path
		if i > 1 {
			from += "." + strconv.Itoa(i-1)
		}
		if err := os.Rename(from, l.path+"."+strconv.Itoa(i)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if l.files == 1 {
		if err := os.Remove(l.path); err != nil {
			return err
		}
	}
	l.size = 0 // the files have moved: if open fails, write tries that again and moves nothing
	return l.open()
}

// close makes what was written durable and closes the file; write opens it again.
func (l *logFile) close() error {
	if l.file == nil {
		return nil
	}
	f := l.file
	l.file = nil
	if !l.regular {
		return f.Close()
	}
	return errors.Join(f.Sync(), f.Close())
}

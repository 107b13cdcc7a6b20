package bundle

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/trendbuy/riskscorer/scoring/forest/lightgbm"
	"github.com/trendbuy/riskscorer/scoring/forest/xgboost"
)

const (
	manifestName  = "manifest.json"
	goldenName    = "golden.jsonl"
	baselineName  = "baseline.json"
	sumsName      = "SHA256SUMS"
	signatureName = "SHA256SUMS.minisig"
)

// maxBytes bounds each file that a bundle may hold, by name. A name that is not here is not a bundle's.
var maxBytes = map[string]int64{
	manifestName:  1 << 20,
	goldenName:    64 << 20,
	baselineName:  4 << 20,
	sumsName:      64 << 10,
	signatureName: 64 << 10,
	"model.ubj":   xgboost.DefaultMaxBytes,
	"model.json":  xgboost.DefaultMaxJSONBytes,
	"model.txt":   lightgbm.DefaultMaxBytes,
}

// required are the files without which a directory is no bundle; the model is named by the manifest.
var required = []string{manifestName, goldenName, baselineName, sumsName}

// readFiles reads every file of the bundle at path, within the bounds.
func readFiles(path string) (map[string][]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	var files map[string][]byte
	if info.IsDir() {
		files, err = readDir(path)
	} else {
		files, err = readTar(path)
	}
	if err != nil {
		return nil, err
	}
	for _, name := range required {
		if _, ok := files[name]; !ok {
			return nil, &CheckError{CheckSizes, fmt.Errorf("%s is missing", name)}
		}
	}
	return files, nil
}

func readDir(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, e := range entries {
		// Kubernetes projects volumes as links into a hidden sibling directory: the hidden entries are not the bundle's.
		if strings.HasPrefix(e.Name(), "..") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			return nil, &CheckError{CheckSizes, fmt.Errorf("%s is not a regular file", e.Name())}
		}
		f, err := os.Open(path) // #nosec G304 -- the operator names the directory
		if err != nil {
			return nil, err
		}
		err = addFile(files, e.Name(), f, info.Size())
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// readTar reads a tar whose entries are regular files at the top or in one directory.
func readTar(path string) (map[string][]byte, error) {
	f, err := os.Open(path) // #nosec G304 -- the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, &CheckError{CheckSizes, fmt.Errorf("%s is neither a directory nor a tar file: %w", path, err)}
		}
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) || filepath.Base(h.Name) != h.Name {
			return nil, &CheckError{CheckSizes, fmt.Errorf("tar entry %q: only regular files at the top are allowed", h.Name)}
		}
		if err := addFile(files, h.Name, r, min(h.Size, info.Size())); err != nil {
			return nil, err
		}
	}
}

// addFile reads a file that says to have so many bytes, which is believed only as far as memory is made ready for it.
func addFile(files map[string][]byte, name string, r io.Reader, size int64) error {
	limit, ok := maxBytes[name]
	if !ok {
		return &CheckError{CheckSizes, fmt.Errorf("%s is not a file of a bundle", name)}
	}
	if _, ok := files[name]; ok {
		return &CheckError{CheckSizes, fmt.Errorf("%s is there twice", name)}
	}
	if size > limit {
		return &CheckError{CheckSizes, fmt.Errorf("%s is larger than %d bytes", name, limit)}
	}
	data := bytes.NewBuffer(make([]byte, 0, max(0, size)+bytes.MinRead)) // so much that the end is found without growing
	if _, err := data.ReadFrom(io.LimitReader(r, limit+1)); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if int64(data.Len()) > limit {
		return &CheckError{CheckSizes, fmt.Errorf("%s is larger than %d bytes", name, limit)}
	}
	files[name] = data.Bytes()
	return nil
}

package bundle

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrNotStored says that a store does not hold a bundle.
var ErrNotStored = errors.New("the bundle store does not hold this bundle")

// Store is a directory of bundles by model digest: each is a directory <digest>, or a tar file <digest>.tar.
type Store string

// Open opens the bundle with a digest and makes every check. An error that wraps ErrNotStored says that it is not there,
// or that the digest is none. A bundle that stands under another's digest is a *CheckError.
func (s Store) Open(digest string, o Options) (*Bundle, error) {
	// The digest may come from a record: it must not lead out of the directory.
	raw, err := hex.DecodeString(digest)
	if err != nil || len(raw) != len(Digest{}) || hex.EncodeToString(raw) != digest {
		return nil, fmt.Errorf("%w: %q is not a model digest", ErrNotStored, digest)
	}
	path := filepath.Join(string(s), digest)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		path += ".tar"
	}
	b, err := Open(path, o)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: neither %s nor %s.tar is in %s", ErrNotStored, digest, digest, string(s))
	case err != nil:
		return nil, fmt.Errorf("stored bundle %s: %w", digest, err)
	case b.Digest.String() != digest:
		return nil, &CheckError{CheckDigests, fmt.Errorf("%s holds the bundle %s", path, b.Digest)}
	}
	return b, nil
}

package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// sums renders SHA256SUMS for the files: one line "<hex>  <name>" each, sorted by name.
func sums(files map[string][]byte) []byte {
	var out bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name != sumsName && name != signatureName {
			fmt.Fprintf(&out, "%x  %s\n", sha256.Sum256(files[name]), name)
		}
	}
	return out.Bytes()
}

// verifySums holds every file against SHA256SUMS, and SHA256SUMS against its one allowed form.
func verifySums(files map[string][]byte) (Digest, error) {
	listed := files[sumsName]
	digest := Digest(sha256.Sum256(listed))
	if bytes.Equal(listed, sums(files)) {
		return digest, nil
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(listed)) {
		want, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if _, err := hex.DecodeString(want); !ok || err != nil || len(want) != 2*sha256.Size {
			return digest, fmt.Errorf("%s: a line is not '<64 hex digits>  <name>'", sumsName)
		}
		data, there := files[name]
		if !there {
			return digest, fmt.Errorf("%s lists %q, which is missing", sumsName, name)
		}
		if got := sha256.Sum256(data); hex.EncodeToString(got[:]) != want {
			return digest, fmt.Errorf("%s changed: its SHA-256 is %x, listed is %s", name, got, want)
		}
		seen[name] = true
	}
	for name := range files {
		if !seen[name] && name != sumsName && name != signatureName {
			return digest, fmt.Errorf("%s is not listed in %s", name, sumsName)
		}
	}
	return digest, errors.New(sumsName + " is not sorted by name, or holds a line twice")
}

package bundle_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/bundle"
)

func TestStoreOpensBundlesByTheirDigest(t *testing.T) {
	b, err := bundle.Open(demo, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	digest := b.Digest.String()
	directories, tars := t.TempDir(), t.TempDir()
	if err := os.CopyFS(filepath.Join(directories, digest), os.DirFS(demo)); err != nil {
		t.Fatal(err)
	}
	packed, err := os.Create(filepath.Join(tars, digest+".tar"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(bundle.Pack(packed, demo), packed.Close()); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{directories, tars} {
		stored, err := bundle.Store(dir).Open(digest, bundle.Options{})
		if err != nil || stored.Digest != b.Digest {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

func TestStoreRefusesWhatItDoesNotHold(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Base(dir)
	wrong := strings.Repeat("ab", 32)
	if err := os.CopyFS(filepath.Join(dir, wrong), os.DirFS(demo)); err != nil {
		t.Fatal(err)
	}
	for _, digest := range []string{"", "..", "../" + outside, strings.Repeat("AB", 32), strings.Repeat("ab", 31), strings.Repeat("cd", 32)} {
		if _, err := bundle.Store(dir).Open(digest, bundle.Options{}); !errors.Is(err, bundle.ErrNotStored) {
			t.Errorf("%q: %v", digest, err)
		}
	}
	if _, err := bundle.Store(filepath.Join(dir, "absent")).Open(wrong, bundle.Options{}); !errors.Is(err, bundle.ErrNotStored) {
		t.Errorf("no store: %v", err)
	}
	var failed *bundle.CheckError
	if _, err := bundle.Store(dir).Open(wrong, bundle.Options{}); !errors.As(err, &failed) || failed.Check != bundle.CheckDigests {
		t.Errorf("under another's digest: %v", err)
	}
}

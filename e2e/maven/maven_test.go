package maven_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/trendbuy/riskscorer/e2e/maven"
)

// cacheRoot points the user's cache folder at a temporary one.
func cacheRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", root)
	t.Setenv("HOME", root)
	return root
}

func TestCachedFillsOnce(t *testing.T) {
	cacheRoot(t)
	filled := 0
	fill := func(_ context.Context, dir string) error {
		filled++
		return os.WriteFile(filepath.Join(dir, "a.jar"), []byte("jar"), 0o600)
	}
	for range 2 {
		dir, err := maven.Cached(t.Context(), "thing-1", fill)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "a.jar")); err != nil {
			t.Error(err)
		}
	}
	if filled != 1 {
		t.Errorf("filled %d times, want 1", filled)
	}
}

func TestFailedFillLeavesNothing(t *testing.T) {
	root := cacheRoot(t)
	broken := errors.New("connection lost")
	_, err := maven.Cached(t.Context(), "thing-1", func(_ context.Context, dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "half.jar"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("left over: %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if dirs, _ := filepath.Glob(filepath.Join(root, "*", "*", "thing-1*")); len(dirs) != 0 {
		t.Errorf("left over: %v", dirs)
	}
}

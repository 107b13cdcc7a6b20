// Package maven provides files of Maven Central in a cache folder that stays between runs.
package maven

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/trendbuy/riskscorer/e2e/process"
)

// Fill is what makes a cache entry: it runs in an empty folder that becomes the entry once Fill returned nil.
type Fill func(ctx context.Context, dir string) error

// Cached returns the folder <user cache>/riskscorer/<name>, filled first if it is not there yet. A folder that exists
// is whole: it gets its name only after fill has succeeded, so an interrupted run leaves nothing half done.
func Cached(ctx context.Context, name string, fill Fill) (string, error) {
	root, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	root = filepath.Join(root, "riskscorer")
	target := filepath.Join(root, name)
	if exists(target) {
		return target, nil
	}
	if err := os.MkdirAll(root, 0o750); err != nil {
		return "", fmt.Errorf("make the cache folder: %w", err)
	}
	work, err := os.MkdirTemp(root, name+".part-")
	if err != nil {
		return "", fmt.Errorf("make the download folder: %w", err)
	}
	defer os.RemoveAll(work)
	if err := fill(ctx, work); err != nil {
		return "", err
	}
	// Another run may have finished first; its folder is as good.
	if err := os.Rename(work, target); err != nil && !exists(target) {
		return "", fmt.Errorf("name the cache entry: %w", err)
	}
	return target, nil
}

func exists(dir string) bool {
	_, err := os.Stat(dir)
	return err == nil
}

// Run runs mvn in dir, quietly. The error holds what mvn printed.
func Run(ctx context.Context, dir string, args ...string) error {
	mvn, err := process.Find("mvn", "the download from Maven Central")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, mvn, append([]string{"-q", "-B"}, args...)...) //nolint:gosec // mvn, found in PATH, on our own arguments
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mvn %s: %w: %s", args[0], err, bytes.TrimSpace(out))
	}
	return nil
}

package bundle_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/bundle"
)

func TestHostileTarsAreRefused(t *testing.T) {
	tests := []struct {
		name    string
		entries []tar.Header
		says    string
	}{
		{"link", []tar.Header{{Name: "manifest.json", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}}, "only regular files"},
		{"path outward", []tar.Header{{Name: "../manifest.json", Typeflag: tar.TypeReg}}, "only regular files"},
		{"absolute path", []tar.Header{{Name: "/manifest.json", Typeflag: tar.TypeReg}}, "only regular files"},
		{"directory inside", []tar.Header{{Name: "sub/manifest.json", Typeflag: tar.TypeReg}}, "only regular files"},
		{"file twice", []tar.Header{{Name: "manifest.json", Typeflag: tar.TypeReg}, {Name: "manifest.json", Typeflag: tar.TypeReg}}, "there twice"},
		{"oversized file", []tar.Header{{Name: "SHA256SUMS", Typeflag: tar.TypeReg, Size: 64<<10 + 1}}, "larger than"},
		{"nothing", nil, "is missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			w := tar.NewWriter(&out)
			for i := range tt.entries {
				if err := w.WriteHeader(&tt.entries[i]); err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(make([]byte, tt.entries[i].Size)); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "bundle.tar")
			write(t, path, out.String())
			_, err := bundle.Open(path, bundle.Options{})
			var check *bundle.CheckError
			if !errors.As(err, &check) || check.Check != bundle.CheckSizes || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error is %v, want check sizes saying %q", err, tt.says)
			}
		})
	}
}

func TestAFileThatIsNoTarIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.pkl")
	write(t, path, strings.Repeat("\x80\x04pickle", 100))
	_, err := bundle.Open(path, bundle.Options{})
	if err == nil || !strings.Contains(err.Error(), "neither a directory nor a tar file") {
		t.Errorf("error is %v", err)
	}
}

package bundle

import (
	"archive/tar"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"aead.dev/minisign"
)

// WriteSums writes SHA256SUMS into the directory, over every other file of the bundle, and returns the model digest.
// It reads nothing but sizes and names: Open judges the rest.
func WriteSums(dir string) (Digest, error) {
	files, err := readDir(dir)
	if err != nil {
		return Digest{}, fmt.Errorf("write sums: %w", err)
	}
	files[sumsName] = sums(files)
	if err := os.WriteFile(filepath.Join(dir, sumsName), files[sumsName], 0o644); err != nil { // #nosec G306 -- meant to be read
		return Digest{}, fmt.Errorf("write sums: %w", err)
	}
	return verifySums(files)
}

// Pack writes the bundle at path as a tar whose bytes depend on the bundle's alone: sorted names, no times, no owners.
// The caller opens the bundle first; Pack does not judge it.
func Pack(w io.Writer, path string) error {
	files, err := readFiles(path)
	if err != nil {
		return fmt.Errorf("pack bundle: %w", err)
	}
	out := tar.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(files[name])), Mode: 0o644, Format: tar.FormatUSTAR}
		if err := out.WriteHeader(h); err != nil {
			return fmt.Errorf("pack bundle: %w", err)
		}
		if _, err := out.Write(files[name]); err != nil {
			return fmt.Errorf("pack bundle: %w", err)
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("pack bundle: %w", err)
	}
	return nil
}

// Sign writes SHA256SUMS.minisig into the directory: a minisign signature of SHA256SUMS by the secret key,
// which is a minisign key file's text. The password is that of an encrypted key.
func Sign(dir string, secretKey []byte, password string) error {
	key, err := readKey(secretKey, password)
	if err != nil {
		return fmt.Errorf("sign bundle: %w", err)
	}
	listed, err := os.ReadFile(filepath.Join(dir, sumsName)) // #nosec G304 -- the operator names the directory
	if err != nil {
		return fmt.Errorf("sign bundle: %w", err)
	}
	signature := minisign.Sign(key, listed)
	if err := os.WriteFile(filepath.Join(dir, signatureName), signature, 0o644); err != nil { // #nosec G306 -- meant to be read
		return fmt.Errorf("sign bundle: %w", err)
	}
	return nil
}

func readKey(text []byte, password string) (key minisign.PrivateKey, err error) {
	if minisign.IsEncrypted(text) {
		return minisign.DecryptKey(password, text)
	}
	err = key.UnmarshalText(text)
	return key, err
}

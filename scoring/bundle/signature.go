package bundle

import (
	"errors"
	"fmt"

	"aead.dev/minisign"
)

// verifySignature checks SHA256SUMS.minisig against the keys. No keys demand nothing.
func verifySignature(files map[string][]byte, keys []string) (bool, error) {
	if len(keys) == 0 {
		return false, nil
	}
	signature, ok := files[signatureName]
	if !ok {
		return false, fmt.Errorf("%s is missing, and public keys are configured", signatureName)
	}
	for _, text := range keys {
		var key minisign.PublicKey
		if err := key.UnmarshalText([]byte(text)); err != nil {
			return false, fmt.Errorf("public key: %w", err)
		}
		if minisign.Verify(key, files[sumsName], signature) {
			return true, nil
		}
	}
	return false, errors.New("no configured public key has signed this bundle")
}

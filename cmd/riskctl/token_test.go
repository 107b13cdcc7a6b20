package main

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
)

// TestToken: what is printed for the file is the digest of the token that is shown, and each token is new.
func TestToken(t *testing.T) {
	seen := map[string]bool{}
	for range 10 {
		code, stdout, stderr := riskctl(t, "token", "--name", "checkout")
		token := strings.TrimSpace(stderr)
		sum := sha256.Sum256([]byte(token))
		if code != 0 || stdout != "checkout:"+hex.EncodeToString(sum[:])+"\n" || len(token) != 43 || seen[token] {
			t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
		}
		seen[token] = true
	}
	for _, args := range [][]string{{"token"}, {"token", "--name", ""}, {"token", "--name", "check:out"}, {"token", "--name", "x", "y"}} {
		if code, stdout, _ := riskctl(t, args...); code != 2 || stdout != "" {
			t.Errorf("%q: exit code %d, %q", args, code, stdout)
		}
	}
}

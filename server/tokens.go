package server

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
)

const (
	// maxTokens bounds the tokens of a file, and so what comparing costs: some 10 ns each.
	maxTokens = 512
	// maxTokenBytes bounds a token that a client shows.
	maxTokenBytes = 256
	maxNameBytes  = 128
)

// token is a line of the file: whom it lets in, and the digest of what is shown. SHA-256 without salt or stretching
// suffices, because a token is 256 random bits and no password: there is nothing to guess by trying.
type token struct {
	name   string
	digest [sha256.Size]byte
}

// tokens are those that let in now. It is safe for concurrent use.
type tokens struct{ list atomic.Pointer[[]token] }

// nameOf returns whose token it is. Every entry is compared, each in the same time, so that the time taken tells
// neither which digest was near nor which matched.
func (t *tokens) nameOf(shown string) (string, bool) {
	list := *t.list.Load()
	digest, found := sha256.Sum256([]byte(shown)), -1
	for i := range list {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(digest[:], list[i].digest[:]), i, found)
	}
	if found < 0 {
		return "", false
	}
	return list[found].name, true
}

// use takes a file's tokens into use. A file without any is refused: it is more often cut short than meant.
func (t *tokens) use(contents [][]byte) error {
	list, err := parseTokens(contents[0])
	if err != nil {
		return err
	}
	t.list.Store(&list)
	return nil
}

// NewToken makes a token of 256 random bits for a client of that name, and its line for the tokens file. The token is
// the secret and stands nowhere else; a name has 1 to 128 letters, digits or -_./@.
func NewToken(name string) (shown, line string, err error) {
	if !validName(name) {
		return "", "", errName
	}
	var random [32]byte
	_, _ = rand.Read(random[:]) // it never fails
	shown = base64.RawURLEncoding.EncodeToString(random[:])
	digest := sha256.Sum256([]byte(shown))
	return shown, name + ":" + hex.EncodeToString(digest[:]), nil
}

var errName = fmt.Errorf("a name has 1 to %d letters, digits or -_./@", maxNameBytes)

// parseTokens reads lines name:digest; blank ones and those that begin with # are left out. A name may come again, so
// that a client can change its token; a digest may not. An error names the line and quotes nothing: somebody may have
// put a token where its digest belongs.
func parseTokens(text []byte) ([]token, error) {
	var list []token
	seen := map[[sha256.Size]byte]bool{}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		entry := strings.TrimSpace(string(line))
		if entry == "" || strings.HasPrefix(entry, "#") {
			continue
		}
		one, err := parseToken(entry)
		if err == nil && seen[one.digest] {
			err = errors.New("the digest stands in an earlier line too")
		}
		if err == nil && len(list) == maxTokens {
			err = fmt.Errorf("more than %d tokens", maxTokens)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		seen[one.digest] = true
		list = append(list, one)
	}
	if len(list) == 0 {
		return nil, errors.New("there is no token")
	}
	return list, nil
}

func parseToken(entry string) (token, error) {
	name, digest, ok := strings.Cut(entry, ":")
	if !ok {
		return token{}, errors.New("want name:digest")
	}
	if !validName(name) {
		return token{}, errName
	}
	one := token{name: name}
	if len(digest) != hex.EncodedLen(sha256.Size) {
		return token{}, errors.New("the digest is not the 64 hexadecimal digits of a SHA-256")
	}
	if _, err := hex.Decode(one.digest[:], []byte(digest)); err != nil {
		return token{}, errors.New("the digest is not hexadecimal")
	}
	return one, nil
}

func validName(name string) bool {
	return name != "" && len(name) <= maxNameBytes && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_./@", r)
	})
}

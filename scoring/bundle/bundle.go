// Package bundle provides the model bundle's format: it reads, checks, packs and signs the directory
// (or tar) in which data scientists ship a model with its contract and the training library's own numbers.
//
// A bundle serves only if it reproduces those numbers. Open makes its checks in a fixed order — sizes,
// signature, digests, manifest, model, contract, golden — and the first that fails names what differed.
package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// The checks that Open makes, in this order.
const (
	CheckSizes     = "sizes"
	CheckSignature = "signature"
	CheckDigests   = "digests"
	CheckManifest  = "manifest"
	CheckModel     = "model"
	CheckContract  = "contract"
	CheckGolden    = "golden"
)

// Checks lists the checks in the order in which Open makes them.
func Checks() []string {
	return []string{
		CheckSizes, CheckSignature, CheckDigests, CheckManifest, CheckModel, CheckContract, CheckGolden,
	}
}

// CheckError is the first check that a bundle failed, with what differed.
type CheckError struct {
	Check string
	Err   error
}

func (e *CheckError) Error() string { return fmt.Sprintf("bundle check %q failed: %v", e.Check, e.Err) }

// Unwrap returns what differed.
func (e *CheckError) Unwrap() error { return e.Err }

// Digest is a SHA-256; the model digest is that of the bytes of SHA256SUMS.
type Digest [sha256.Size]byte

// String returns the digest as bare lower-case hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Bundle is an opened bundle that passed every check. It is immutable.
type Bundle struct {
	Manifest Manifest
	Digest   Digest
	Forest   *forest.Forest
	// Signed says that a configured key's signature was found and holds.
	Signed bool
	// Parity is what the golden rows showed.
	Parity Parity

	golden []byte // golden.jsonl, for Judge
}

// Options say what Open demands beyond the bundle's own word.
type Options struct {
	// PublicKeys are minisign public keys, one of which must have signed the bundle; none demands no signature.
	PublicKeys []string
	// Known, if it is not nil, is a digest that needs no opening: Open returns ErrKnown once it has found the bundle's
	// files to be those.
	Known *Digest
	// Model bounds and watches how the model is loaded. Beyond its MaxMemory, the error wraps a *[forest.MemoryError].
	Model forest.Options
}

// ErrKnown says that a bundle is the one of [Options.Known].
var ErrKnown = errors.New("the bundle is the known one")

// Open reads the bundle at path, a directory or a tar file, and makes every check.
// The error is a *CheckError where a check failed, and the file system's where the bundle could not be read.
func Open(path string, o Options) (*Bundle, error) {
	files, err := readFiles(path)
	if err != nil {
		return nil, fmt.Errorf("open bundle: %w", err)
	}
	b := &Bundle{}
	steps := []struct {
		check string
		do    func() error
	}{
		{CheckSignature, func() (err error) { b.Signed, err = verifySignature(files, o.PublicKeys); return }},
		{CheckDigests, func() (err error) { b.Digest, err = verifySums(files); return }},
		{CheckManifest, func() (err error) { b.Manifest, err = ParseManifest(files[manifestName]); return }},
		{CheckModel, func() (err error) { b.Forest, err = loadModel(files, &b.Manifest, o.Model); return }},
		{CheckContract, func() error { return checkContract(&b.Manifest, b.Forest) }},
		{CheckGolden, func() (err error) { b.Parity, err = verifyGolden(files[goldenName], &b.Manifest, b.Forest); return }},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return nil, &CheckError{s.check, err}
		}
		if s.check == CheckDigests && o.Known != nil && *o.Known == b.Digest {
			return nil, ErrKnown
		}
	}
	b.golden = files[goldenName]
	return b, nil
}

func loadModel(files map[string][]byte, m *Manifest, o forest.Options) (*forest.Forest, error) {
	data, ok := files[m.Model.File]
	if !ok {
		return nil, fmt.Errorf("manifest names model file %q, which the bundle does not hold", m.Model.File)
	}
	library, err := libraryOf(data)
	if err != nil {
		return nil, err
	}
	if library != m.Model.Library {
		return nil, fmt.Errorf("manifest says library %q, %s is a file of %s", m.Model.Library, m.Model.File, library)
	}
	f, err := LoadModel(data, m.Model.Trees == AllTrees, o)
	if err != nil {
		return nil, err
	}
	if !f.Probability() {
		return nil, fmt.Errorf("objective %s: a serving bundle holds one binary probability model; score others with 'riskctl predict'", f.Objective)
	}
	return f, nil
}

// checkContract compares what the manifest says of the features with what the model was trained on.
func checkContract(m *Manifest, f *forest.Forest) error {
	if len(m.Features) != f.NumFeature {
		return fmt.Errorf("manifest lists %d features, the model has %d", len(m.Features), f.NumFeature)
	}
	for i := range m.Features {
		want := &m.Features[i]
		if f.FeatureNames != nil && f.FeatureNames[i] != want.Name {
			return fmt.Errorf("feature %d: manifest says %q, the model was trained with %q", i, want.Name, f.FeatureNames[i])
		}
		if f.Categorical != nil && f.Categorical[i] != (want.Type == Category) {
			return fmt.Errorf("feature %q: manifest says %s, the model was trained with categorical = %t", want.Name, want.Type, f.Categorical[i])
		}
		if f.Categories == nil || f.Categories[i] == nil {
			continue
		}
		if err := sameCategories(want.Categories, f.Categories[i]); err != nil {
			return fmt.Errorf("feature %q: %w", want.Name, err)
		}
	}
	return nil
}

func sameCategories(manifest, model []string) error {
	if len(manifest) != len(model) {
		return fmt.Errorf("manifest lists %d categories, the model %d", len(manifest), len(model))
	}
	for i := range manifest {
		if manifest[i] != model[i] {
			return fmt.Errorf("category %d: manifest says %q, the model %q", i, manifest[i], model[i])
		}
	}
	return nil
}

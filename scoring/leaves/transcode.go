package leaves

import (
	"fmt"
	"io"
	"strings"

	"github.com/trendbuy/riskscorer/scoring/forest"
)

// Bounds of what is transcoded; a forest beyond them is a *TreeError.
const (
	maxTrees    = 1 << 20 // with those that fill up the groups
	maxSetWords = 1 << 22 // 32 category codes each, in all sets together
)

// transcoder is the forest in LightGBM's text format, version 3, as an io.Reader. It holds one tree's text at a time.
//
// The library adds tree i to group i modulo the number of groups, so each group's trees are dealt out in their order, and
// trees of a single 0 fill up the groups that have fewer.
type transcoder struct {
	forest *forest.Forest
	groups [][]*forest.Tree
	rounds int // trees of a group, those that fill it up included
	next   int
	text   []byte // what is still to be read of the header or of the last tree
	buffer []byte // holds text
	tree   treeText
}

func newTranscoder(f *forest.Forest) (*transcoder, error) {
	t := &transcoder{forest: f, groups: make([][]*forest.Tree, f.NumGroup), rounds: 1}
	words := 0
	for i := range f.Trees {
		tree := &f.Trees[i]
		if tree.Linear != nil {
			return nil, &TreeError{i, "it has linear leaves, of which the library knows the constant only"}
		}
		t.groups[tree.Group] = append(t.groups[tree.Group], tree)
		t.rounds = max(t.rounds, len(t.groups[tree.Group]))
		if t.rounds > maxTrees/f.NumGroup {
			return nil, &TreeError{i, fmt.Sprintf("with it there are over %d trees in %d groups of the same length", maxTrees, f.NumGroup)}
		}
		if words += setWords(tree); words > maxSetWords {
			return nil, &TreeError{i, fmt.Sprintf("with it the category sets take over %d words as bit sets", maxSetWords)}
		}
	}
	t.text = header(f, t.rounds)
	return t, nil
}

// setWords returns how many words the bit sets of a tree take.
func setWords(tree *forest.Tree) (words int) {
	for i := range tree.Nodes {
		n := &tree.Nodes[i]
		if n.Left == 0 || n.Set < 0 {
			continue
		}
		words++
		if set := tree.Sets[n.Set]; len(set) > 0 {
			words += int(set[len(set)-1]+firstCategory) / 32
		}
	}
	return words
}

// Read reads the text, the next tree's whenever one is through.
func (t *transcoder) Read(p []byte) (int, error) {
	if len(t.text) == 0 {
		if t.next == t.rounds*len(t.groups) {
			return 0, io.EOF
		}
		t.nextTree()
	}
	n := copy(p, t.text)
	t.text = t.text[n:]
	return n, nil
}

// header is the text before the trees. Of tree_sizes the library takes no more than their number.
func header(f *forest.Forest, rounds int) []byte {
	return fmt.Appendf(nil, "tree\nversion=v3\nnum_class=%d\nnum_tree_per_iteration=%d\nmax_feature_idx=%d\ntree_sizes=%s\n\n",
		f.NumGroup, f.NumGroup, f.NumFeature-1, strings.Repeat("0 ", rounds*f.NumGroup-1)+"0")
}

// nextTree makes the next tree's text what is to be read.
func (t *transcoder) nextTree() {
	group, round := t.groups[t.next%len(t.groups)], t.next/len(t.groups)
	t.tree.reset()
	if round < len(group) {
		t.tree.add(t.forest, group[round])
	} else {
		t.tree.addLeaf(0)
	}
	t.buffer = t.tree.appendTo(t.buffer[:0], t.next)
	t.text = t.buffer
	t.next++
}

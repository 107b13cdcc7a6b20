package xgboost_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strconv"
)

// A largeModel is a model in UBJSON as XGBoost 3 writes it, of complete trees of one depth over features that are
// drawn, as are thresholds and leaves.
type largeModel struct {
	trees, depth, features int
	// lie, if it is not nil, changes a tree before it is written.
	lie func(tree int, t *largeTree)
}

// A largeTree has the arrays of a tree that the loader reads.
type largeTree struct {
	left, right, feature, parent []int32
	condition, cover, gain       []float32
	defaultLeft                  []byte
}

func (m largeModel) encode() []byte {
	nodes := 2<<m.depth - 1
	w := ubjWriter(make([]byte, 0, m.trees*(34*nodes+1000)+4000))
	w.open("")
	w.open("learner")
	w.open("attributes").close()
	w.key("feature_names").list(0)
	w.key("feature_types").list(0)
	w.open("gradient_booster")
	w.open("model")
	w.open("gbtree_model_param").text("num_parallel_tree", "1").text("num_trees", strconv.Itoa(m.trees)).close()
	rounds, info := make([]int32, m.trees+1), make([]int32, m.trees)
	for i := range rounds {
		rounds[i] = int32(i)
	}
	w.integers("iteration_indptr", rounds)
	w.integers("tree_info", info)
	w.key("trees").list(m.trees)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range m.trees {
		t := m.tree(random)
		if m.lie != nil {
			m.lie(i, t)
		}
		w.tree(i, t, nodes, m.features)
	}
	w.close().text("name", "gbtree").close()
	w.open("learner_model_param").text("base_score", "[5E-1]").text("num_class", "0").
		text("num_feature", strconv.Itoa(m.features)).text("num_target", "1").close()
	w.open("objective").text("name", "binary:logistic").close()
	w.close()
	w.integers("version", []int32{3, 4, 1})
	w.close()
	return w
}

func (m largeModel) tree(random *rand.Rand) *largeTree {
	t := &largeTree{}
	for i := range 2<<m.depth - 1 {
		level := int(math.Log2(float64(i + 1)))
		left, right, condition := int32(2*i+1), int32(2*i+2), random.Float32()
		if level == m.depth {
			left, right, condition = -1, -1, condition/100-0.005
		}
		t.left, t.right = append(t.left, left), append(t.right, right)
		t.parent = append(t.parent, int32((i-1)/2))
		t.feature = append(t.feature, random.Int32N(int32(m.features)))
		t.condition = append(t.condition, float32(math.Round(float64(condition)*1e4)/1e4))
		t.cover = append(t.cover, float32(int(2000)<<(m.depth-level)))
		t.gain = append(t.gain, condition)
		t.defaultLeft = append(t.defaultLeft, byte(i%2))
	}
	return t
}

// An ubjWriter writes UBJSON as XGBoost does.
type ubjWriter []byte

func (w *ubjWriter) count(n int) {
	*w = binary.BigEndian.AppendUint64(append(*w, 'L'), uint64(n))
}

func (w *ubjWriter) key(name string) *ubjWriter {
	w.count(len(name))
	*w = append(*w, name...)
	return w
}

// open begins an object, the value of a key if that has a name.
func (w *ubjWriter) open(name string) *ubjWriter {
	if name != "" {
		w.key(name)
	}
	*w = append(*w, '{')
	return w
}

func (w *ubjWriter) close() *ubjWriter {
	*w = append(*w, '}')
	return w
}

func (w *ubjWriter) list(n int) {
	*w = append(*w, "[#"...)
	w.count(n)
}

func (w *ubjWriter) text(name, value string) *ubjWriter {
	w.key(name)
	*w = append(*w, 'S')
	w.count(len(value))
	*w = append(*w, value...)
	return w
}

func (w *ubjWriter) integers(name string, values []int32) {
	w.array(name, 'l', len(values))
	for _, v := range values {
		*w = binary.BigEndian.AppendUint32(*w, uint32(v))
	}
}

func (w *ubjWriter) floats(name string, values []float32) {
	w.array(name, 'd', len(values))
	for _, v := range values {
		*w = binary.BigEndian.AppendUint32(*w, math.Float32bits(v))
	}
}

func (w *ubjWriter) bytes(name string, values []byte) {
	w.array(name, 'U', len(values))
	*w = append(*w, values...)
}

func (w *ubjWriter) array(name string, marker byte, n int) {
	w.key(name)
	*w = append(*w, '[', '$', marker, '#')
	w.count(n)
}

func (w *ubjWriter) tree(id int, t *largeTree, nodes, features int) {
	w.open("")
	w.floats("base_weights", t.gain)
	w.integers("categories", nil)
	w.integers("categories_nodes", nil)
	w.integers("categories_segments", nil)
	w.integers("categories_sizes", nil)
	w.bytes("default_left", t.defaultLeft)
	*w = binary.BigEndian.AppendUint32(append(*w.key("id"), 'l'), uint32(id))
	w.integers("left_children", t.left)
	w.floats("loss_changes", t.gain)
	w.integers("parents", t.parent)
	w.integers("right_children", t.right)
	w.floats("split_conditions", t.condition)
	w.integers("split_indices", t.feature)
	w.bytes("split_type", make([]byte, len(t.left)))
	if t.cover != nil {
		w.floats("sum_hessian", t.cover)
	}
	w.open("tree_param").text("num_deleted", "0").text("num_feature", strconv.Itoa(features)).
		text("num_nodes", strconv.Itoa(nodes)).text("size_leaf_vector", "1").close()
	w.close()
}

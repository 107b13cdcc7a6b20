package forest

import "slices"

// A leafGame has what a leaf contributes to the features on its path, for every set of splits on the
// path that a row may satisfy.
type leafGame struct {
	features []int32
	// height is how far the leaf is above the lowest level of the padded tree.
	height int
	// phi is by the bits of the satisfied splits from the root down, then by feature.
	phi []float64
}

// contributions returns what the leaf contributes to each of its features if the splits of the padded
// path are satisfied as the bits say, from the root down. The splits that the path was padded with do
// not matter: all rows satisfy them.
func (g *leafGame) contributions(satisfied int) []float64 {
	n := len(g.features)
	return g.phi[satisfied>>g.height*n:][:n]
}

// treeGames are the games of a tree's leaves, by place on the lowest level. Each tree uses the memory of the one before
// it: otherwise tables would leave several times their own size of garbage.
type treeGames struct {
	rule  rule
	games [maxSlots]leafGame
}

func newTreeGames() *treeGames { return &treeGames{rule: gaussLegendre(numBlocks(maxTableDepth))[0]} }

// of makes them the games of all leaves of the padded tree; that of no leaf is empty.
func (t *treeGames) of(p *paddedTree) {
	for i, leaf := range p.leaves {
		g := &t.games[i]
		g.features, g.phi = g.features[:0], g.phi[:0]
		if leaf >= 0 {
			g.play(p, i, &t.rule)
		}
	}
}

// play makes it the game of the leaf at a place of the lowest level.
func (g *leafGame) play(p *paddedTree, place int, rule *rule) {
	g.height = p.height[place]
	splits := p.depth - g.height
	var shares [maxTableDepth]float64 // by feature of the game
	var featureOf [maxTableDepth]int  // by split, the root first
	for k := range splits {
		slot := (maxSlots + place) >> (p.depth - k)
		node := p.nodes[slot]
		n := &p.Nodes[node]
		child := n.Left
		if (maxSlots+place)>>(p.depth-k-1)&1 == 1 {
			child = n.Right
		}
		at := 0
		for at < len(g.features) && g.features[at] != n.Feature {
			at++
		}
		if at == len(g.features) {
			g.features = append(g.features, n.Feature)
			shares[at] = 1
		}
		featureOf[k] = at
		shares[at] = float64(shares[at] * p.share(int(node), child))
	}
	n := len(g.features)
	value := float64(p.Nodes[p.leaves[place]].Leaf) - p.offset
	var known [1 << maxTableDepth][maxTableDepth]float64 // by the bits of the features satisfied
	for set := range 1 << n {
		known[set] = shapley(value, shares[:n], set, rule)
	}
	g.phi = slices.Grow(g.phi, n<<splits)
	for satisfied := range 1 << splits {
		set := 1<<n - 1
		for k, at := range featureOf[:splits] {
			if satisfied>>(splits-1-k)&1 == 0 {
				set &^= 1 << at
			}
		}
		g.phi = append(g.phi, known[set][:n]...)
	}
}

// shapley returns the Shapley values of a leaf's game, whose formula is that of [quadrature]: the row
// satisfies the splits on feature i if bit i of set is 1, and shares[i] is the share of its paths.
func shapley(value float64, shares []float64, set int, rule *rule) (phi [maxTableDepth]float64) {
	var factors, before [maxTableDepth]points
	product := rule.weights
	for i, r := range shares {
		b := float64(set >> i & 1)
		factors[i] = rule.y.apply(func(y float64) float64 { return float64(r*(1-y)) + float64(b*y) })
		before[i] = product
		product = product.mul(factors[i])
	}
	after := points{1, 1, 1, 1}
	for i := len(shares) - 1; i >= 0; i-- {
		b := float64(set >> i & 1)
		phi[i] = float64(float64(value*(b-shares[i])) * before[i].dot(after))
		after = after.mul(factors[i])
	}
	return phi
}

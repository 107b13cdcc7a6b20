package service

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/scoring/forest"
)

// TestLeavesRefusesAtStart what it cannot score, naming the tree, and a model of which it has other numbers.
func TestLeavesRefusesAtStart(t *testing.T) {
	b, err := bundle.Open("../models/trendbuy_xgb_v1.0.0", bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	good := b.Forest
	both := *good
	both.Trees = append(slices.Clone(good.Trees), forest.Tree{
		Nodes: []forest.Node{{Feature: 0, Set: 0, Left: 1, Right: 2}, {Set: -1}, {Set: -1}},
		Sets:  [][]uint32{{1}},
	})
	b.Forest = &both
	if _, _, err := openEngine(EngineLeaves, b); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "SCORING_ENGINE") || !strings.Contains(err.Error(), "tree 300") {
		t.Errorf("a tree that it cannot score: error is %v", err)
	}
	fewer := *good
	fewer.Trees = good.Trees[:299]
	b.Forest = &fewer
	_, _, err = openEngine(EngineLeaves, b)
	if check, ok := errors.AsType[*bundle.CheckError](err); !ok || check.Check != bundle.CheckGolden || !strings.Contains(err.Error(), "leaves/1") {
		t.Errorf("a tree too few: error is %v", err)
	}
}

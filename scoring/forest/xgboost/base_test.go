package xgboost_test

import (
	"bytes"
	"strconv"
	"testing"

	"github.com/trendbuy/riskscorer/scoring/forest/xgboost"
)

// TestBaseMargins holds the margins of base scores to XGBoost's, bit for bit: each goes into every margin.
func TestBaseMargins(t *testing.T) {
	_, records := readCSV(t, "testdata/base_margins.csv")
	if len(records) < 1500 {
		t.Fatalf("%d base scores, want 1,500 or more", len(records))
	}
	for _, record := range records {
		data := edit(t, `"binary:logistic"`, strconv.Quote(record[0]))
		f, err := xgboost.Load(bytes.Replace(data, []byte("5E-1"), []byte(record[1]), 1), xgboost.Options{})
		if err != nil {
			t.Fatal(err)
		}
		want, err := strconv.ParseFloat(record[2], 32)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Base[0]; got != float64(float32(want)) {
			t.Errorf("%s, base score %s: margin %v, XGBoost's is %v", record[0], record[1], got, want)
		}
	}
}

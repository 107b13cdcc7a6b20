package schemas_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/trendbuy/riskscorer/schemas"
)

func TestParseOrder(t *testing.T) {
	c := demoContract()
	o, err := schemas.ParseOrder([]byte(exampleOrder), c, schemas.RefuseExtra)
	if err != nil {
		t.Fatal(err)
	}
	checkExample(t, &o)
	o, err = schemas.ParseOrder([]byte(" \n"+strings.Replace(exampleOrder, "order_id", `order\u005fid`, 1)+"\t"), c, schemas.RefuseExtra)
	if err != nil {
		t.Fatalf("space around, an escaped name: %v", err)
	}
	checkExample(t, &o)
	o, err = schemas.ParseOrder([]byte(`{"order_id":"é😀","event_version":null,"occurred_at":null,"features":{"feature_device_type":"app",
		"feature_hours_since_trend_peak":-0.0,"feature_velocity_24h":1e3,"feature_discount_pct":1e-400}}`), c, schemas.RefuseExtra)
	if err != nil {
		t.Fatal(err)
	}
	if o.ID != "é😀" || o.Version != 0 || !o.OccurredAt.IsZero() || o.Row[0] != 0 || o.Row[1] != 1000 || o.Row[7] != 3 {
		t.Errorf("got %+v", o)
	}
}

func TestParseOrderSyntax(t *testing.T) {
	tests := []struct{ name, text, pointer, in string }{
		{"empty", ``, "", "too early"},
		{"space", ` `, "", "too early"},
		{"cut", `{"order_id":"a`, "/order_id", "too early"},
		{"no quotes", `{order_id:"a"}`, "", "Unexpected character"},
		{"comma", `{"order_id":"a",}`, "", "Unexpected character"},
		{"comment", `{"order_id":"a"/**/}`, "", "(expecting ',' or '}')"},
		{"duplicate", `{"order_id":"a","order_id":"b"}`, "/order_id", "twice"},
		{"escaped duplicate", `{"features":{"a":1,"\u0061":2}}`, "/features/a", "twice"},
		{"nested duplicate", `{"features":{"x":[{"a":1,"a":2}]}}`, "/features/x/0/a", "twice"},
		{"bad utf-8", "{\"order_id\":\"\xff\"}", "/order_id", "UTF-8"},
		{"bad utf-8 in a name", "{\"\xff\":1}", "", "UTF-8"},
		{"lone surrogate", `{"order_id":"\ud800"}`, "/order_id", "escape sequence"},
		{"half a pair", `{"order_id":"\ud800\u0041"}`, "/order_id", "escape sequence"},
		{"no escape", `{"order_id":"\x"}`, "/order_id", "escape sequence"},
		{"bom", "\ufeff{}", "", "at start of value"},
		{"trailing value", `{} {}`, "", "follows"},
		{"trailing text", `{} x`, "", "follows"},
		{"nul", "{}\x00", "", "follows"},
		{"NaN", `{"features":{"feature_discount_pct":NaN}}`, "/features/feature_discount_pct", "start of value"},
		{"Infinity", `{"features":{"feature_discount_pct":-Infinity}}`, "/features/feature_discount_pct", "expecting digit"},
		{"leading zero", `{"features":{"feature_discount_pct":01}}`, "/features", "after object value"},
		{"hexadecimal", `{"features":{"feature_discount_pct":0x1}}`, "/features", "after object value"},
		{"no double", `{"features":{"feature_discount_pct":1e999}}`, "/features/feature_discount_pct", "double"},
		{"no double where nobody reads", `{"x":{"y":[0,-1e999]}}`, "/x/y/1", "double"},
		{"no double as version", `{"event_version":1e999}`, "/event_version", "double"},
		{"no double at the top", `1e999`, "", "double"},
		{"deep", strings.Repeat("[", 20_000), "", "deeply"},
		{"deep inside", `{"x":` + strings.Repeat(`{"x":`, 20_000), "", "deeply"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := schemas.ParseOrder([]byte(tt.text), demoContract(), schemas.RefuseExtra)
			var e *schemas.SyntaxError
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want a SyntaxError", err)
			}
			if !strings.Contains(e.Detail, tt.in) || e.Offset < 0 || e.Offset > int64(len(tt.text)) {
				t.Errorf("got %+v, want a detail with %q", e, tt.in)
			}
			if e.Pointer != tt.pointer && !strings.HasPrefix(tt.name, "deep") {
				t.Errorf("got pointer %q, want %q", e.Pointer, tt.pointer)
			}
		})
	}
}

func TestParseOrderInvalid(t *testing.T) {
	example := func(old, new string) string {
		if !strings.Contains(exampleOrder, old) {
			t.Fatalf("the example does not have %s", old)
		}
		return strings.Replace(exampleOrder, old, new, 1)
	}
	tests := []struct {
		name, text string
		problems   []string // pointer, space, class
	}{
		{"null", `null`, []string{" decode"}},
		{"array", `[]`, []string{" decode"}},
		{"text", `"x"`, []string{" decode"}},
		{"empty", `{}`, []string{"/order_id order_id", "/features decode"}},
		{"array of features", `{"order_id":"a","features":[1]}`, []string{"/features decode"}},
		{"case of names", example(`"order_id"`, `"Order_ID"`), []string{"/order_id order_id", "/Order_ID decode"}},
		{"version text", example(`:3,`, `:"3",`), []string{"/event_version decode"}},
		{"version fraction", example(`:3,`, `:3.0,`), []string{"/event_version decode"}},
		{"version exponent", example(`:3,`, `:3e0,`), []string{"/event_version decode"}},
		{"version too large", example(`:3,`, `:9223372036854775808,`), []string{"/event_version decode"}},
		{"time number", example(`"2026-11-21T08:15:30.123Z"`, `1`), []string{"/occurred_at decode"}},
		{"time without zone", example(`.123Z`, `.123`), []string{"/occurred_at decode"}},
		{"time with a comma", example(`.123Z`, `,123Z`), []string{"/occurred_at decode"}},
		{"time with a short hour", example(`T08`, `T8`), []string{"/occurred_at decode"}},
		{"time in small letters", example(`.123Z`, `.123z`), []string{"/occurred_at decode"}},
		{"time of a far zone", example(`.123Z`, `.123+24:00`), []string{"/occurred_at decode"}},
		{"time of a false zone", example(`.123Z`, `+01:60`), []string{"/occurred_at decode"}},
		{"time of no day", example(`11-21`, `11-31`), []string{"/occurred_at decode"}},
		{"time zero", example(`2026-11-21T08:15:30.123Z`, `0001-01-01T00:00:00.0009Z`), []string{"/occurred_at decode"}},
		{"time beyond", example(`2026-11-21T08:15:30.123Z`, `9999-12-31T23:59:59-01:00`), []string{"/occurred_at decode"}},
		{"pointer escapes", example(`"features":{`, `"a/b~c":1,"features":{"x/y~z":{},`), []string{
			"/features/x~1y~0z feature_unknown", "/a~1b~0c decode",
		}},
		{"everything", `{"order_id":7,"event_version":{},"occurred_at":[],"zz":0,"aa":0,"features":{"feature_device_type":1,
			"feature_b":1,"feature_a":[],"feature_velocity_24h":"x","feature_creator_reliability":2}}`, []string{
			"/order_id order_id", "/event_version decode", "/occurred_at decode", "/features/feature_discount_pct feature_missing",
			"/features/feature_velocity_24h feature_type", "/features/feature_hours_since_trend_peak feature_missing",
			"/features/feature_creator_reliability feature_range", "/features/feature_device_type feature_type",
			"/features/feature_a feature_unknown", "/features/feature_b feature_unknown", "/aa decode", "/zz decode",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := schemas.ParseOrder([]byte(tt.text), demoContract(), schemas.RefuseExtra)
			if got := problemsOf(t, err); strings.Join(got, "\n") != strings.Join(tt.problems, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.problems, "\n"))
			}
		})
	}
}

func problemsOf(t *testing.T, err error) []string {
	t.Helper()
	var invalid *schemas.Invalid
	if !errors.As(err, &invalid) {
		t.Fatalf("got %v, want an Invalid", err)
	}
	var list []string
	for _, p := range invalid.Problems {
		if p.Detail == "" {
			t.Errorf("%s has no detail", p.Pointer)
		}
		list = append(list, p.Pointer+" "+string(p.Class))
	}
	return list
}

// The same faults come in the same order, whatever the order of the members.
func TestParseOrderFaultsAreInOneOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	top := []string{`"order_id":""`, `"event_version":"x"`, `"occurred_at":1`, `"b":1`, `"a":1`}
	inner := []string{`"feature_device_type":1`, `"feature_discount_pct":7`, `"feature_velocity_24h":-1`, `"y":1`, `"x":1`}
	want := ""
	for range 50 {
		random.Shuffle(len(inner), func(i, j int) { inner[i], inner[j] = inner[j], inner[i] })
		members := append([]string{`"features":{` + strings.Join(inner, ",") + `}`}, top...)
		random.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		_, err := schemas.ParseOrder([]byte("{"+strings.Join(members, ",")+"}"), demoContract(), schemas.RefuseExtra)
		got := strings.Join(problemsOf(t, err), "\n")
		if want == "" {
			want = got
		}
		if got != want {
			t.Fatalf("got\n%s\nbefore\n%s", got, want)
		}
	}
}

func TestParseOrderFaultsAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, `"feature_%02d":1,"`, i)
		b.WriteString(strings.Repeat("x", i+1) + `":2,`)
	}
	text := strings.Replace(exampleOrder, `"features":{`, `"features":{`+b.String(), 1)
	_, err := schemas.ParseOrder([]byte(text), demoContract(), schemas.RefuseExtra)
	if n := len(problemsOf(t, err)); n != schemas.MaxProblems {
		t.Errorf("got %d problems, want %d", n, schemas.MaxProblems)
	}
	if n := len(err.Error()); n > 1024 {
		t.Errorf("the error has %d bytes", n)
	}
	o, err := schemas.ParseOrder([]byte(text), demoContract(), schemas.IgnoreExtra)
	if err != nil {
		t.Fatalf("ignoring extra features: %v", err)
	}
	checkExample(t, &o)
}

// A misspelt name gets a hint; a body full of them gets no more than a bounded number.
func TestUnknownFeatureHints(t *testing.T) {
	_, err := schemas.ParseOrder([]byte(strings.Replace(exampleOrder, "reliability", "reliabilty", 1)), demoContract(), schemas.RefuseExtra)
	if err == nil || !strings.Contains(err.Error(), `did you mean "feature_creator_reliability"?`) {
		t.Errorf("got %v", err)
	}
	var members []string
	for i := range schemas.MaxProblems {
		members = append(members, fmt.Sprintf(`"feature_discount_p%02d":1`, i))
	}
	item := `{"order_id":"a","features":{` + strings.Join(members, ",") + `}}`
	items, err := schemas.ParseBatch([]byte("["+strings.Repeat(item+",", 199)+item+"]"), demoContract(), schemas.RefuseExtra)
	if err != nil {
		t.Fatal(err)
	}
	hints := 0
	for i := range items {
		for _, p := range items[i].Invalid.Problems {
			if strings.Contains(p.Detail, "did you mean") {
				hints++
			}
		}
	}
	if hints < schemas.MaxProblems || hints > 1024 {
		t.Errorf("%d hints", hints)
	}
}

func TestParseOrderTime(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-11-21T08:15:30Z":                time.Date(2026, 11, 21, 8, 15, 30, 0, time.UTC),
		"2026-11-21T09:15:30.1239999+01:00":   time.Date(2026, 11, 21, 8, 15, 30, 123e6, time.UTC),
		"1969-12-31T23:59:59.9999Z":           time.Date(1969, 12, 31, 23, 59, 59, 999e6, time.UTC),
		"0001-01-01T00:00:00.001Z":            time.Date(1, 1, 1, 0, 0, 0, 1e6, time.UTC),
		"9999-12-31T23:59:59.999999999Z":      time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC),
		"2024-02-29T00:00:00.000000000-23:59": time.Date(2024, 2, 29, 23, 59, 0, 0, time.UTC),
	} {
		o, err := schemas.ParseOrder([]byte(strings.Replace(exampleOrder, "2026-11-21T08:15:30.123Z", text, 1)), demoContract(), schemas.RefuseExtra)
		if err != nil || !o.OccurredAt.Equal(want) || o.OccurredAt.Location() != time.UTC {
			t.Errorf("%s: got %v, %v", text, o.OccurredAt, err)
		}
	}
}

func TestParseOrderID(t *testing.T) {
	for id, ok := range map[string]bool{
		"x": true, strings.Repeat("x", 256): true, strings.Repeat("é", 128): true, "a b/c": true, "\u2028": true,
		"": false, strings.Repeat("x", 257): false, strings.Repeat("é", 129): false, `a\nb`: false, "\u007f": false, "\u0085": false,
	} {
		_, err := schemas.ParseOrder([]byte(strings.Replace(exampleOrder, "ORD_12345", id, 1)), demoContract(), schemas.RefuseExtra)
		var invalid *schemas.Invalid
		if ok != (err == nil) || !ok && (!errors.As(err, &invalid) || invalid.Class() != schemas.RejectOrderID) {
			t.Errorf("%q: got %v", id, err)
		}
	}
}

func TestParseBatch(t *testing.T) {
	c := demoContract()
	bad := strings.Replace(exampleOrder, `"mobile"`, `"fridge"`, 1)
	items, err := schemas.ParseBatch([]byte("["+exampleOrder+","+bad+",null,"+exampleOrder+"]"), c, schemas.RefuseExtra)
	if err != nil || len(items) != 4 {
		t.Fatalf("got %d items, %v", len(items), err)
	}
	for _, i := range []int{0, 3} {
		if items[i].Invalid != nil {
			t.Errorf("item %d: %v", i, items[i].Invalid)
		}
		checkExample(t, &items[i].Order)
	}
	if p := problemsOf(t, items[1].Invalid); len(p) != 1 || p[0] != "/features/feature_device_type feature_category" || items[1].OrderID != "ORD_12345" {
		t.Errorf("got %q of %q", p, items[1].OrderID)
	}
	if p := problemsOf(t, items[2].Invalid); len(p) != 1 || p[0] != " decode" || items[2].OrderID != "" {
		t.Errorf("got %q of %q", p, items[2].OrderID)
	}
	most := "[" + strings.Repeat(exampleOrder+",", schemas.MaxBatch-1) + exampleOrder + "]"
	if items, err := schemas.ParseBatch([]byte(most), c, schemas.RefuseExtra); err != nil || len(items) != schemas.MaxBatch {
		t.Errorf("the largest batch: %d items, %v", len(items), err)
	}
	for _, text := range []string{`[]`, exampleOrder, `null`, `"x"`, "[" + strings.Repeat("1,", schemas.MaxBatch) + "1]"} {
		_, err := schemas.ParseBatch([]byte(text), c, schemas.RefuseExtra)
		if p := problemsOf(t, err); len(p) != 1 || p[0] != " decode" {
			t.Errorf("%.20s: got %q", text, p)
		}
	}
	for text, pointer := range map[string]string{
		``: "", `[`: "", `[{}`: "", `[{},]`: "", `[{}] x`: "", `[{"a":1,"a":2}]`: "/0/a", `[1,{"features":{"x":1e999}}]`: "/1/features/x",
		"[" + strings.Repeat("1,", schemas.MaxBatch+1) + "1e999]": "/1001",
	} {
		_, err := schemas.ParseBatch([]byte(text), c, schemas.RefuseExtra)
		var e *schemas.SyntaxError
		if !errors.As(err, &e) || pointer != "" && e.Pointer != pointer {
			t.Errorf("%.20s: got %v, want a SyntaxError at %q", text, err, pointer)
		}
	}
}

func TestExtraText(t *testing.T) {
	var e schemas.Extra
	for _, text := range []string{"ignore", "refuse"} {
		if err := e.UnmarshalText([]byte(text)); err != nil || e.String() != text {
			t.Errorf("%s: got %s, %v", text, e, err)
		}
	}
	if e.UnmarshalText([]byte("true")) == nil {
		t.Error("true was taken")
	}
}

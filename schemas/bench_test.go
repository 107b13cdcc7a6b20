package schemas_test

import (
	"bytes"
	"testing"

	"github.com/trendbuy/riskscorer/schemas"
)

func BenchmarkDecode(b *testing.B) {
	d := newDecoder(pin(b, map[int]string{orderID: schemas.OrderFeaturesSchema}), schemas.RefuseExtra)
	for name, value := range map[string][]byte{
		"avro": frame(orderID, encode(b, schemas.OrderFeaturesSchema, exampleRecord())), "json": []byte(exampleOrder),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(value)))
			for b.Loop() {
				if _, err := d.Decode(b.Context(), nil, value); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseBatch(b *testing.B) {
	text := append(append([]byte("["), bytes.Repeat([]byte(exampleOrder+","), 99)...), exampleOrder+"]"...)
	c := demoContract()
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := schemas.ParseBatch(text, c, schemas.RefuseExtra); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	avroResults, err := schemas.NewAvroResults(1, demoModel)
	if err != nil {
		b.Fatal(err)
	}
	o, d := exampleDecision()
	for name, r := range map[string]*schemas.Results{"avro": avroResults, "json": schemas.NewJSONResults(demoModel)} {
		b.Run(name, func(b *testing.B) {
			var dst []byte
			b.ReportAllocs()
			for b.Loop() {
				if dst, err = r.AppendTo(dst[:0], o, d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("answer", func(b *testing.B) {
		var dst []byte
		b.ReportAllocs()
		for b.Loop() {
			dst = schemas.AppendAnswer(dst[:0], demoModel, o, d, nil)
		}
	})
	b.Run("answer, by itself", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			schemas.AppendAnswer(nil, demoModel, o, d, nil)
		}
	})
}

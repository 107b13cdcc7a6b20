package main

import (
	"github.com/trendbuy/riskscorer/ordergen"
	"github.com/trendbuy/riskscorer/schemas"
)

// event is a generated order as an order event.
func event(o *ordergen.Order) *schemas.OrderEvent {
	e := &schemas.OrderEvent{OrderID: o.ID, Version: o.EventVersion, OccurredAt: o.OccurredAt}
	for _, n := range o.Features.Numbers() {
		e.Features = append(e.Features, schemas.FeatureValue{Name: n.Name, Number: n.Value})
	}
	e.Features = append(e.Features, schemas.FeatureValue{Name: ordergen.DeviceTypeName, Text: o.Features.DeviceType})
	return e
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/schemas/registry"
)

// subject is a schema of ours and the name that it has in the schema registry.
type subject struct{ name, schema string }

// subjects are the schemas of the topics that carry Avro.
func (c *connection) subjects() []subject {
	return []subject{
		{c.OrdersTopic + "-value", schemas.OrderFeaturesSchema},
		{c.Stream.ResultsTopic + "-value", schemas.RiskResultSchema},
	}
}

func registerSchemas(ctx context.Context, w io.Writer, c *connection) error {
	for _, s := range c.subjects() {
		id, err := c.registry.Register(ctx, s.name, s.schema)
		if errors.Is(err, registry.ErrIncompatible) {
			return notHeld(err)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "schema %s registered with id %d\n", s.name, id)
	}
	return nil
}

// schemaReport is how one of our schemas stands.
type schemaReport struct {
	Subject string `json:"subject"`
	registry.Standing
}

// schemaReports asks how our schemas stand; without a schema registry there are none.
func schemaReports(ctx context.Context, c *connection) ([]schemaReport, error) {
	if c.Registry.URL == "" {
		return nil, nil
	}
	var reports []schemaReport
	for _, s := range c.subjects() {
		standing, err := c.registry.Standing(ctx, s.name, s.schema)
		if err != nil {
			return nil, err
		}
		reports = append(reports, schemaReport{s.name, standing})
	}
	return reports, nil
}

func printSchemas(w io.Writer, reports []schemaReport) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nSUBJECT\tSCHEMA\tCOMPATIBILITY\tWITH THE LATEST")
	for _, r := range reports {
		state, latest := "not registered", "compatible"
		if r.Registered {
			state = fmt.Sprintf("id %d", r.ID)
		}
		if !r.Compatible {
			latest = "not compatible: " + printable(r.Reason, 200)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", r.Subject, state, r.Compatibility, latest)
	}
	return table.Flush()
}

package main

import (
	"fmt"
	"html"
	"strings"

	"github.com/trendbuy/riskscorer/bench/report"
)

const (
	plotWidth = 960
	barHeight = 20
	labelEnd  = 190
)

// plot draws events a second, one panel for copiers and one for scorers.
func (r *results) plot() string {
	var parts strings.Builder
	top := 44
	for _, panel := range []struct {
		title   string
		copying bool
	}{{"Passing through, messages/s", true}, {"The whole, events/s", false}} {
		lines := r.of(panel.copying)
		fmt.Fprintf(&parts, `<text x="16" y="%d" font-weight="bold">%s</text>`, top+12, panel.title)
		top += 22
		most := 1.0
		for _, l := range lines {
			most = max(most, l.rate())
		}
		for _, l := range lines {
			colour := "#9db2c4"
			if strings.HasPrefix(l.label, "riskscorer") {
				colour = "#0a7d54"
			}
			length := max(2, l.rate()/most*(plotWidth-labelEnd-220))
			fmt.Fprintf(&parts, `<text x="%d" y="%d" text-anchor="end">%s</text><rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+
				`<text x="%.1f" y="%d">%s/s, %.3g us CPU</text>`,
				labelEnd-6, top+12, html.EscapeString(l.label), labelEnd, top, length, barHeight-5, colour,
				labelEnd+6+length, top+12, report.Thousands(l.rate()), l.cpu())
			top += barHeight
		}
		top += 18
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+
		`<rect width="%[1]d" height="%[2]d" fill="#fff"/><text x="16" y="24" font-size="15" font-weight="bold">`+
		`One broker and one client on the same cores: longer is better</text>%[3]s</svg>`+"\n", plotWidth, top, parts.String())
}

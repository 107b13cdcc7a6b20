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

// bar is one line of a panel.
type bar struct {
	label, text string
	length      float64
	ours        bool
}

// plot draws requests a second, and goodput by offered load.
func (r *results) plot() string {
	var rates, goodput []bar
	for _, l := range r.Lines {
		if len(l.Turns) > 0 {
			rates = append(rates, bar{l.Label, fmt.Sprintf("%s/s, %.3g us CPU", report.Thousands(l.rate()), l.cpu()), l.rate(), strings.HasPrefix(l.Name, "riskscorer")})
		}
	}
	for _, times := range loads() {
		if share := good(r.Offered, times); share == share {
			goodput = append(goodput, bar{factor(times) + " offered", fmt.Sprintf("%.0f%% of the peak served in time", 100*share), share, true})
		}
	}
	var parts strings.Builder
	top := panel(&parts, 44, "One order a request, 8 connections, requests/s", rates)
	if len(goodput) > 0 {
		top = panel(&parts, top, "Overload with a model that is slow to explain", goodput)
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+
		`<rect width="%[1]d" height="%[2]d" fill="#fff"/><text x="16" y="24" font-size="15" font-weight="bold">`+
		`Generator and server on the same cores: longer is better</text>%[3]s</svg>`+"\n", plotWidth, top, parts.String())
}

// panel draws bars below one another and returns where it ends.
func panel(parts *strings.Builder, top int, title string, bars []bar) int {
	fmt.Fprintf(parts, `<text x="16" y="%d" font-weight="bold">%s</text>`, top+12, title)
	top += 22
	most := 1e-9
	for _, b := range bars {
		most = max(most, b.length)
	}
	for _, b := range bars {
		colour := "#9db2c4"
		if b.ours {
			colour = "#0a7d54"
		}
		length := max(2, b.length/most*(plotWidth-labelEnd-220))
		fmt.Fprintf(parts, `<text x="%d" y="%d" text-anchor="end">%s</text><rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+
			`<text x="%.1f" y="%d">%s</text>`,
			labelEnd-6, top+12, html.EscapeString(b.label), labelEnd, top, length, barHeight-5, colour, labelEnd+6+length, top+12, b.text)
		top += barHeight
	}
	return top + 18
}

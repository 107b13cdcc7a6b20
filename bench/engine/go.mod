module github.com/trendbuy/riskscorer/bench/engine

go 1.26.0

require (
	github.com/dmitryikh/leaves v0.0.0-20230708180554-25d19a787328
	github.com/trendbuy/riskscorer v0.0.0
)

require (
	github.com/go-json-experiment/json v1.27.2 // indirect
	golang.org/x/sys v0.48.0 // indirect
)

replace github.com/trendbuy/riskscorer => ../..

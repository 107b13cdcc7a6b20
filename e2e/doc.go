// Package e2e holds the tests of the whole system on real parts: Apache Kafka, a schema registry, the built binaries
// and the Python library that trained the model. They carry the build tag e2e, and `make e2e` runs them.
//
// E2E_SEED repeats a run's input and faults, E2E_ORDERS sets its size (default 100,000), and the flag -artifacts of go test keeps
// every log.
package e2e

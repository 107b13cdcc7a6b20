// Package packaging holds the tests of what riskscorer is shipped in: the Dockerfile, the compose file and the Helm
// chart, judged by the parsers of BuildKit, Compose, Helm and Kubernetes. It is a module of its own, so that their
// dependencies stay out of the service's go.mod.
package packaging

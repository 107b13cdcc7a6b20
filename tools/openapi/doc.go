// Package openapi holds what judges the OpenAPI document of the scoring door: a lint, and the comparison with the
// document that was announced to callers. It is a module of its own, so that its tools' dependencies stay out of the
// service's go.mod.
package openapi

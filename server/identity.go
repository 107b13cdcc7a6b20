package server

import "context"

// identityKey is the context key of an authenticated caller's name.
type identityKey struct{}

// identityOf names the authenticated caller of a request, "" for an anonymous one.
func identityOf(ctx context.Context) string {
	name, _ := ctx.Value(identityKey{}).(string)
	return name
}

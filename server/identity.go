package server

import "context"

// identityKey is the context's key of who calls.
type identityKey struct{}

// identityOf returns who calls: the name of a token, or the name in a client's certificate that the door knows it by.
// It is "" where the door asks nobody.
func identityOf(ctx context.Context) string {
	name, _ := ctx.Value(identityKey{}).(string)
	return name
}

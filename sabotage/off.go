//go:build !sabotage

package sabotage

// At does nothing.
func At(Point) {}

// On is false.
func On(Bug) bool { return false }

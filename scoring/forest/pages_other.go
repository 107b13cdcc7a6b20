//go:build !linux

package forest

// adviseHugePages does nothing: other systems choose pages by themselves.
func adviseHugePages([]entry) {}

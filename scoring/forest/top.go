package forest

import "math"

// TopTo writes the numbers of the features with the largest contributions, signs aside, to dst, the largest first,
// and returns the part of dst that it wrote: there are at most len(dst), and contributions of 0 are left out. Of
// equal ones, the lower feature comes first. The contributions are those of one row and group, without the
// bias, as [Forest.ContributionsTo] writes them. TopTo does not allocate.
func TopTo(dst []int, contributions []float64) []int {
	n := 0
	for feature, phi := range contributions {
		size := math.Abs(phi)
		// Negated, so that a NaN, which no forest of finite leaves gives, is left out, too.
		if !(size > 0) || n == len(dst) && !(n > 0 && size > math.Abs(contributions[dst[n-1]])) {
			continue
		}
		low, high := 0, n // the place behind all that are as large
		for low < high {
			if middle := (low + high) / 2; math.Abs(contributions[dst[middle]]) >= size {
				low = middle + 1
			} else {
				high = middle
			}
		}
		n = min(n+1, len(dst))
		copy(dst[low+1:n], dst[low:n])
		dst[low] = feature
	}
	return dst[:n]
}

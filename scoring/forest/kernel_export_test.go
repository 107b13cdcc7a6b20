package forest

// NumColumns returns how many columns a quantised row of f has, for tests that need a certain number.
func NumColumns(f *Forest) int {
	tests, err := newNodeTests(f)
	if err != nil {
		return -1
	}
	return tests.columns.count
}

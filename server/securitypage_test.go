package server_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityPageNamesTests: each row of the page's tables of risks names a test, and the test is there.
func TestSecurityPageNamesTests(t *testing.T) {
	page, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tables, found := strings.Cut(string(page), "\n## OWASP API Security Top 10 (2023)\n")
	if !found {
		t.Fatal("the page has no table of the OWASP API Security Top 10")
	}
	row := regexp.MustCompile(`^\| (API\d+|\d+\.\d+\.\d+)[ ,].*\| \[(Test\w+)\]\(\.\./([\w/]+_test\.go)\) \|$`)
	seen := map[string]bool{}
	for line := range strings.Lines(tables) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ---") || strings.HasSuffix(line, "| test |") {
			continue
		}
		m := row.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("a row without an item or a test: %s", line)
			continue
		}
		item, test, file := m[1], m[2], m[3]
		if seen[item] {
			t.Errorf("%s stands twice", item)
		}
		seen[item] = true
		source, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(file)))
		if err != nil || !strings.Contains(string(source), "\nfunc "+test+"(t *testing.T) {") {
			t.Errorf("%s: %s is not in %s (%v)", item, test, file, err)
		}
	}
	for _, item := range []string{"API1", "API2", "API3", "API4", "API5", "API6", "API7", "API8", "API9", "API10"} {
		if !seen[item] {
			t.Errorf("%s is missing", item)
		}
	}
	if len(seen) < 40 {
		t.Errorf("only %d items", len(seen))
	}
}

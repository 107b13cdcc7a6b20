package server_test

import (
	"strings"
	"testing"

	"github.com/trendbuy/riskscorer/server"
)

// TestSettingsThatContradict: each is refused by the names of its variables.
func TestSettingsThatContradict(t *testing.T) {
	tokens := newStore(t, tokensFile("x")).path("tokens")
	for want, change := range map[string]func(*server.Config){
		`ADMIN_ADDR is ":8001"`:              func(c *server.Config) { c.AdminAddr = ":8001" },
		`ADMIN_ADDR is "0.0.0.0:8001"`:       func(c *server.Config) { c.AdminAddr = "0.0.0.0:8001" },
		`ADMIN_ADDR is "admin.example:8001"`: func(c *server.Config) { c.AdminAddr = "admin.example:8001" },
		`ADMIN_ADDR is "8001"`:               func(c *server.Config) { c.AdminAddr = "8001" },
		"HTTP_AUTH is":                       func(c *server.Config) { c.HTTP.Auth = "basic" },
		"HTTP_TLS_CERT_FILE and":             func(c *server.Config) { c.HTTP.CertFile = "tls.crt" },
		"METRICS_TLS_MIN_VERSION":            func(c *server.Config) { c.Metrics.MinVersion = "1.1" },
		"HTTP_MAX_CONNECTIONS":               func(c *server.Config) { c.HTTP.MaxConnections = -1 },
		"HTTP_TOKENS_FILE: needed":           func(c *server.Config) { c.HTTP.Auth = server.AuthBearer },
		"ADMIN_TOKENS_FILE: needed":          func(c *server.Config) { c.Admin.TokensFile = tokens },
		"HTTP_TLS_CLIENT_CA_FILE: needed":    func(c *server.Config) { c.HTTP.Auth = server.AuthMTLS },
		"HTTP_CLIENT_NAMES: needed":          func(c *server.Config) { c.HTTP.ClientNames = []string{"checkout"} },
		"HTTP_TLS_CERT_FILE: needed":         func(c *server.Config) { c.HTTP.Auth = server.AuthMTLS },
		`HTTP_CLIENT_NAMES: "spiffe://*"`:    func(c *server.Config) { c.HTTP.ClientNames = []string{"spiffe://*"} },
		`HTTP_CLIENT_NAMES: "*"`:             func(c *server.Config) { c.HTTP.ClientNames = []string{"*"} },
		`"*.shop"`:                           func(c *server.Config) { c.HTTP.ClientNames = []string{"*.shop"} },
		`"spiffe://shop/ns/*/sa"`:            func(c *server.Config) { c.HTTP.ClientNames = []string{"spiffe://shop/ns/*/sa"} },
		`"spiffe://shop/ns/web*"`:            func(c *server.Config) { c.HTTP.ClientNames = []string{"spiffe://shop/ns/web*"} },
		`"spiffe://*/ns/web"`:                func(c *server.Config) { c.HTTP.ClientNames = []string{"spiffe://*/ns/web"} },
		`"https://shop/*"`:                   func(c *server.Config) { c.HTTP.ClientNames = []string{"https://shop/*"} },
		`"two words"`:                        func(c *server.Config) { c.HTTP.ClientNames = []string{"two words"} },
		`"*" is no origin`:                   func(c *server.Config) { c.CORSOrigins = []string{"*"} },
		`"null" is no origin`:                func(c *server.Config) { c.CORSOrigins = []string{"null"} },
		`"https://a.example/" is no`:         func(c *server.Config) { c.CORSOrigins = []string{"https://a.example/"} },
	} {
		if _, err := newServer(change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s in it", err, want)
		}
	}
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "localhost:0", "127.8.9.1:0"} {
		if _, err := newServer(func(c *server.Config) { c.AdminAddr = address }); err != nil {
			t.Errorf("ADMIN_ADDR %s: %v", address, err)
		}
	}
}

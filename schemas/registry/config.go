package registry

import "time"

// Config says where schemas come from.
type Config struct {
	// URL is the schema registry's base; more than one, comma-separated, are tried in order.
	URL      string   `env:"SCHEMA_REGISTRY_URL" help:"base URL of the schema registry; more than one, comma-separated, are tried in order"`
	User     string   `env:"SCHEMA_REGISTRY_USER" help:"user of basic authentication"` // for basic authentication
	Password Password `env:"SCHEMA_REGISTRY_PASSWORD" help:"password of basic authentication"`
	// Timeout bounds one request.
	Timeout time.Duration `env:"SCHEMA_REGISTRY_TIMEOUT, default=5s" help:"bounds one request to the schema registry"`
	// Pins is a JSON file of schemas by id, {"1": {...}}; a schema is written as it is or as a string. Pins win over
	// the schema registry.
	Pins string `env:"SCHEMA_PINS" help:"JSON file of schemas by id; they win over the schema registry"`
}

// Password is a secret that no listing of settings shows.
type Password string

// String hides the password.
func (p Password) String() string {
	if p == "" {
		return ""
	}
	return "(hidden)"
}

// Configured says whether there is any source of schemas.
func (c Config) Configured() bool { return c.URL != "" || c.Pins != "" }

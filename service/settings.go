package service

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/sethvargo/go-envconfig"
)

// Setting is one environment variable of the service.
type Setting struct {
	Name    string `json:"name"`
	Default string `json:"default"`
	Value   string `json:"value"`
	Help    string `json:"help"`
}

// Settings returns every setting in the order of the documentation, with its effective value. A secret prints as
// its type does: hidden.
func (c *Config) Settings() []Setting {
	return settings(nil, "", reflect.ValueOf(c).Elem())
}

// settings appends the fields' settings; a struct's tag may give the names of its fields a prefix.
func settings(dst []Setting, prefix string, v reflect.Value) []Setting {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		tag := field.Tag.Get("env")
		name, options, _ := strings.Cut(tag, ",")
		if name == "" {
			if field.Type.Kind() == reflect.Struct && field.IsExported() {
				_, own, _ := strings.Cut(options, "prefix=")
				dst = settings(dst, prefix+own, v.Field(i))
			}
			continue
		}
		_, fallback, _ := strings.Cut(options, "default=")
		dst = append(dst, Setting{
			Name:    prefix + strings.TrimSpace(name),
			Default: fallback,
			Value:   text(v.Field(i)),
			Help:    field.Tag.Get("help"),
		})
	}
	return dst
}

// text prints a value as its variable is written.
func text(v reflect.Value) string {
	if list, ok := reflect.TypeAssert[[]string](v); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(v.Interface())
}

// nameVariable adds to an error of go-envconfig, which names the field of the struct, the variable whose value it is.
func nameVariable(ctx context.Context, err error, lookup envconfig.Lookuper) error {
	var defaults Config
	for _, s := range defaults.Settings() {
		value, set := lookup.Lookup(s.Name)
		if !set {
			continue
		}
		alone := envconfig.MapLookuper(map[string]string{s.Name: value})
		var c Config
		if one := envconfig.ProcessWith(ctx, &envconfig.Config{Target: &c, Lookuper: alone}); one != nil {
			return fmt.Errorf("%s: %w", s.Name, one)
		}
	}
	return err
}

package schemas

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// shape is an Avro type as a writer's schema describes it.
//
// goavro reads the values, but gets its schema from here, reduced to what the bytes depend on: as its 2.15.0 stands,
// what it does with the rest (defaults, namespaces, the logical types decimal and validated-string) refuses valid
// schemas, panics, or writes to a map that all codecs share. And values must be measured against the shape before
// goavro sees them: see measure.
type shape struct {
	kind    string            // the Avro type: a primitive's name, or record, enum, fixed, array, map, union
	name    string            // full name of a record, enum or fixed
	tag     string            // the type's name in the reduced schema, by which goavro marks a union's branch
	logical string            // logicalType, if the schema has one
	fields  []shapeField      // of a record
	of      *shape            // items of an array, values of a map
	union   []*shape          // branches
	byTag   map[string]*shape // the same by tag
	symbols []string          // of an enum
	size    int               // of a fixed
}

type shapeField struct {
	name string
	*shape
}

// Bounds of a writer's schema.
const (
	maxSchemaBytes = 1 << 20
	maxShapeDepth  = 64
	maxFixed       = MaxEventBytes
)

// parseShape reads a schema's text. Recursive types make a cyclic shape.
func parseShape(text string) (*shape, error) {
	if len(text) > maxSchemaBytes {
		return nil, fmt.Errorf("the schema is over %d bytes", maxSchemaBytes)
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return nil, fmt.Errorf("the schema is not JSON: %w", err)
	}
	p := shapeParser{named: map[string]*shape{}}
	return p.parse(v, "", 0)
}

type shapeParser struct{ named map[string]*shape }

func (p *shapeParser) parse(v any, namespace string, depth int) (*shape, error) {
	if depth > maxShapeDepth {
		return nil, errors.New("the schema nests too deeply")
	}
	switch v := v.(type) {
	case string:
		return p.reference(v, namespace)
	case []any:
		return p.parseUnion(v, namespace, depth)
	case map[string]any:
		switch t := v["type"].(type) {
		case string:
			return p.parseObject(t, v, namespace, depth)
		case map[string]any, []any: // {"type": {"type": ...}}, which several generators write
			return p.parse(t, namespace, depth+1)
		}
	}
	return nil, errors.New("the schema has a type that is neither a name, a union nor an object")
}

// reference resolves a type's name: a primitive, or a named type that the schema has defined before.
func (p *shapeParser) reference(name, namespace string) (*shape, error) {
	switch name {
	case "null", "boolean", "int", "long", "float", "double", "bytes", "string":
		return &shape{kind: name, tag: name}, nil
	}
	for _, full := range []string{qualify(name, namespace), name} {
		if s := p.named[full]; s != nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("the schema names the type %q, which it does not define", cut(name, 64))
}

func (p *shapeParser) parseObject(kind string, v map[string]any, namespace string, depth int) (*shape, error) {
	var err error
	s := &shape{kind: kind, tag: kind}
	switch kind {
	case "record", "enum", "fixed":
		return p.parseNamed(kind, v, namespace, depth)
	case "array":
		s.of, err = p.parse(v["items"], namespace, depth+1)
		return s, err
	case "map":
		s.of, err = p.parse(v["values"], namespace, depth+1)
		return s, err
	}
	found, err := p.reference(kind, namespace)
	if err != nil {
		return nil, err
	}
	if logical, ok := v["logicalType"].(string); ok && found.kind == kind {
		found.logical = logical
	}
	return found, nil
}

func (p *shapeParser) parseUnion(v []any, namespace string, depth int) (*shape, error) {
	if len(v) == 0 {
		return nil, errors.New("the schema has a union without branches")
	}
	s := &shape{kind: "union", tag: "union", byTag: map[string]*shape{}}
	for _, branch := range v {
		b, err := p.parse(branch, namespace, depth+1)
		if err != nil {
			return nil, err
		}
		if b.kind == "union" || s.byTag[b.tag] != nil {
			return nil, errors.New("the schema has a union within a union, or a union with one type twice")
		}
		s.union, s.byTag[b.tag] = append(s.union, b), b
	}
	return s, nil
}

func (p *shapeParser) parseNamed(kind string, v map[string]any, namespace string, depth int) (*shape, error) {
	name, _ := v["name"].(string)
	if ns, ok := v["namespace"].(string); ok {
		namespace = ns
	}
	full := qualify(name, namespace)
	if name == "" || p.named[full] != nil {
		return nil, fmt.Errorf("the schema has a %s without a name, or one name for two types", kind)
	}
	if dot := strings.LastIndexByte(full, '.'); dot >= 0 {
		namespace = full[:dot]
	}
	s := &shape{kind: kind, name: full, tag: "T" + strconv.Itoa(len(p.named))}
	p.named[full] = s // before its fields, which may refer to it
	switch kind {
	case "fixed":
		size, _ := v["size"].(float64)
		if size < 1 || size > maxFixed || size != float64(int(size)) {
			return nil, errors.New("the schema has a fixed without a usable size")
		}
		s.size = int(size)
	case "enum":
		symbols, _ := v["symbols"].([]any)
		for _, symbol := range symbols {
			text, _ := symbol.(string)
			s.symbols = append(s.symbols, text)
		}
	case "record":
		return s, p.parseFields(s, v, namespace, depth)
	}
	return s, nil
}

func (p *shapeParser) parseFields(s *shape, v map[string]any, namespace string, depth int) error {
	fields, ok := v["fields"].([]any)
	if !ok {
		return errors.New("the schema has a record without fields")
	}
	for _, f := range fields {
		field, _ := f.(map[string]any)
		name, _ := field["name"].(string)
		t, err := p.parse(field["type"], namespace, depth+1)
		if err != nil {
			return err
		}
		s.fields = append(s.fields, shapeField{name, t})
	}
	return nil
}

func qualify(name, namespace string) string {
	if namespace == "" || strings.ContainsRune(name, '.') {
		return name
	}
	return namespace + "." + name
}

// CanonicalSchema reduces a schema's text to what the bytes of its values depend on, with full names: schemas that
// differ in documentation, defaults, aliases, logical types or spelling have one canonical form. The error says why
// values of the schema cannot be read.
func CanonicalSchema(text string) (string, error) {
	w, err := newWriter(text)
	if err != nil {
		return "", err
	}
	return w.shape.text(func(s *shape) string { return s.name })
}

// text is the shape as a schema of its own: structure only, with the names that naming gives to named types.
func (s *shape) text(naming func(*shape) string) (string, error) {
	r := reducer{naming: naming, defined: map[*shape]bool{}}
	b, err := json.Marshal(r.reduce(s))
	if err != nil {
		return "", fmt.Errorf("reduce schema: %w", err)
	}
	return string(b), nil
}

type reducer struct {
	naming  func(*shape) string
	defined map[*shape]bool // named types that have been written and are referred to from then on
}

func (r *reducer) reduce(s *shape) any {
	switch s.kind {
	case "record", "enum", "fixed":
		if r.defined[s] {
			return r.naming(s)
		}
		r.defined[s] = true
		return r.reduceNamed(s)
	case "array":
		return map[string]any{"type": "array", "items": r.reduce(s.of)}
	case "map":
		return map[string]any{"type": "map", "values": r.reduce(s.of)}
	case "union":
		branches := make([]any, len(s.union))
		for i, b := range s.union {
			branches[i] = r.reduce(b)
		}
		return branches
	default:
		return s.kind
	}
}

func (r *reducer) reduceNamed(s *shape) any {
	out := map[string]any{"type": s.kind, "name": r.naming(s)}
	switch s.kind {
	case "fixed":
		out["size"] = s.size
	case "enum":
		out["symbols"] = s.symbols
	default:
		fields := make([]any, len(s.fields))
		for i, f := range s.fields {
			fields[i] = map[string]any{"name": f.name, "type": r.reduce(f.shape)}
		}
		out["fields"] = fields
	}
	return out
}

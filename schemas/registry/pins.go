package registry

import (
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"

	json "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/trendbuy/riskscorer/schemas"
)

const maxPinsBytes = 16 << 20

// readPins reads the file of pinned schemas and checks each of them: a bad pin stops the start, not a partition.
func readPins(path string) (map[int]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxPinsBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxPinsBytes {
		return nil, fmt.Errorf("%s: is over %d bytes", path, maxPinsBytes)
	}
	var byID map[string]jsontext.Value
	if err := json.Unmarshal(data, &byID); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	pins := make(map[int]string, len(byID))
	for key, value := range byID {
		id, err := strconv.Atoi(key)
		if err != nil || id < 0 || id > math.MaxInt32 || strconv.Itoa(id) != key {
			return nil, fmt.Errorf("%s: %q is not a schema id", path, key)
		}
		text := string(value)
		if value.Kind() == '"' {
			if err := json.Unmarshal(value, &text); err != nil {
				return nil, fmt.Errorf("%s: schema %d: %w", path, id, err)
			}
		}
		if _, err := schemas.CanonicalSchema(text); err != nil {
			return nil, fmt.Errorf("%s: schema %d: %w", path, id, err)
		}
		pins[id] = text
	}
	return pins, nil
}

// pinned returns the least pinned id of the schema.
func (s *Source) pinned(schema string) (int, error) {
	want, err := schemas.CanonicalSchema(schema)
	if err != nil {
		return 0, err
	}
	for _, id := range slices.Sorted(maps.Keys(s.pins)) {
		if have, err := schemas.CanonicalSchema(s.pins[id]); err == nil && have == want {
			return id, nil
		}
	}
	return 0, fmt.Errorf("%w: it is not pinned", schemas.ErrSchemaUnknown)
}

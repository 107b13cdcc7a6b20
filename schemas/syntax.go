package schemas

import (
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// parser reads JSON from dec. Its methods' errors are *SyntaxError.
type parser struct{ dec *jsontext.Decoder }

// members reads the object that comes next and calls value, which reads the member's value, for each name.
func (p parser) members(value func(name string) error) error {
	if _, err := p.token(); err != nil {
		return err
	}
	for {
		t, err := p.token()
		if err != nil {
			return err
		}
		if t.Kind() == '}' {
			return nil
		}
		if err := value(t.String()); err != nil {
			return err
		}
	}
}

// skip reads the value that comes next, of any kind, as strictly as those that matter.
func (p parser) skip() error {
	depth := p.dec.StackDepth()
	for {
		t, err := p.token()
		if err != nil {
			return err
		}
		if t.Kind() == '0' {
			if _, err := p.number(t); err != nil {
				return err
			}
		}
		if p.dec.StackDepth() == depth {
			return nil
		}
	}
}

// number returns a number token's nearest double.
func (p parser) number(t jsontext.Token) (float64, error) {
	x, err := t.Float()
	if err != nil {
		return 0, &SyntaxError{
			Pointer: string(p.dec.StackPointer()),
			Detail:  "The number is too large for a double.",
			Offset:  p.dec.InputOffset() - int64(len(t.String())),
		}
	}
	return x, nil
}

func (p parser) token() (jsontext.Token, error) {
	t, err := p.dec.ReadToken()
	if err != nil {
		return t, p.syntax(err)
	}
	return t, nil
}

// end makes sure that nothing but space follows.
func (p parser) end() error {
	switch _, err := p.dec.ReadToken(); {
	case err == nil:
		return &SyntaxError{Detail: "Something follows the JSON value.", Offset: p.dec.InputOffset()}
	case errors.Is(err, io.EOF):
		return nil
	default:
		e := p.syntax(err)
		e.Detail = "Something follows the JSON value."
		return e
	}
}

func (p parser) syntax(err error) *SyntaxError {
	out := &SyntaxError{Offset: p.dec.InputOffset()}
	if at, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		out.Pointer, out.Offset, err = string(at.JSONPointer), at.ByteOffset, at.Err
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		out.Detail = "The name stands twice in its object."
	case errors.Is(err, jsontext.ErrNonStringName):
		out.Detail = "A member's name must be a string."
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		out.Detail = "The JSON text ends too early."
	default:
		out.Detail = sentence(err.Error())
	}
	return out
}

// sentence says what jsontext does, without the text that it quotes: that may be a part of a feature's value.
func sentence(message string) string {
	if rest, ok := strings.CutPrefix(message, "invalid character "); ok {
		if quoted, err := strconv.QuotedPrefix(rest); err == nil {
			return "Unexpected character" + rest[len(quoted):] + "."
		}
	}
	switch {
	case strings.HasPrefix(message, "invalid escape sequence"), strings.HasPrefix(message, "invalid surrogate pair"):
		return "Invalid escape sequence in a string."
	case strings.HasPrefix(message, "invalid UTF-8"):
		return "Invalid UTF-8 in a string."
	case strings.HasPrefix(message, "exceeded max depth"):
		return "The value nests too deeply."
	default:
		return "This is not JSON."
	}
}

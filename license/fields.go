package license

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Field is one "Name: value" of a license text, or of a description from which Draft makes one.
type Field struct {
	Name, Value string
	Line        int // from 1; 0 when it comes from no text
}

// section is the header or one item, as lines.
type section struct {
	line   int // where it begins
	fields []Field
}

// lineOf is where a field stands, or where the section begins when it has no such field.
func (s section) lineOf(name string) int {
	for _, f := range s.fields {
		if f.Name == name {
			return f.Line
		}
	}
	return s.line
}

// fieldRule is all that there is to know about one field: the tables of rules below are the license text's grammar, in
// the order in which Sign writes it.
type fieldRule[T any] struct {
	name     string
	required bool
	many     bool // may stand more than once
	read     func(*T, string) error
	write    func(*T) []string // the values, one a line; none leaves the field out
}

const required, optional = true, false

// readFields fills in one section. It lists every fault, so that a draft can be put right in one go.
func readFields[T any](rules []fieldRule[T], into *T, from section) (faults []*Error) {
	seen := make(map[string]bool, len(rules))
	report := func(kind ErrorKind, f Field, format string, args ...any) {
		e := fault(kind, f.Name, format, args...)
		e.Line = f.Line
		faults = append(faults, e)
	}
	for _, f := range from.fields {
		i := slices.IndexFunc(rules, func(r fieldRule[T]) bool { return r.name == f.Name })
		switch {
		case i < 0:
			report(UnknownField, f, "is not a field that this version of muster knows and would enforce; check the spelling or update muster")
			continue
		case seen[f.Name] && !rules[i].many:
			report(DuplicateField, f, "stands twice; keep one of the lines")
			continue
		}
		seen[f.Name] = true
		if f.Value == "" {
			report(BadValue, f, "has no value; give it one or leave the line out")
		} else if err := rules[i].read(into, f.Value); err != nil {
			report(BadValue, f, "%v", err)
		}
	}
	for _, r := range rules {
		if r.required && !seen[r.name] {
			e := missing(r.name, "the field is required")
			e.Line = from.line
			faults = append(faults, e)
		}
	}
	return faults
}

// writeFields is the inverse of readFields.
func writeFields[T any](rules []fieldRule[T], of *T) (fields []Field) {
	for _, r := range rules {
		for _, value := range r.write(of) {
			fields = append(fields, Field{Name: r.name, Value: value})
		}
	}
	return fields
}

func one(value string, present bool) []string {
	if !present {
		return nil
	}
	return []string{value}
}

func textField[T any](name string, required bool, at func(*T) *string) fieldRule[T] {
	return fieldRule[T]{
		name: name, required: required,
		read:  func(t *T, s string) error { *at(t) = s; return nil },
		write: func(t *T) []string { return one(*at(t), *at(t) != "") },
	}
}

func listField[T, E any](name string, at func(*T) *[]E, parse func(string) (E, error)) fieldRule[T] {
	return fieldRule[T]{
		name: name,
		read: func(t *T, s string) error {
			for entry := range strings.SplitSeq(s, ",") {
				v, err := parse(strings.TrimSpace(entry))
				if err != nil {
					return err
				}
				*at(t) = append(*at(t), v)
			}
			return nil
		},
		write: func(t *T) []string {
			parts := make([]string, len(*at(t)))
			for i, v := range *at(t) {
				parts[i] = fmt.Sprint(v)
			}
			return one(strings.Join(parts, ", "), len(parts) > 0)
		},
	}
}

func timeField[T any](name string, required, endOfDay bool, at func(*T) *int64) fieldRule[T] {
	return fieldRule[T]{
		name: name, required: required,
		read:  func(t *T, s string) (err error) { *at(t), err = ParseTime(s, endOfDay); return err },
		write: func(t *T) []string { return one(FormatTime(*at(t)), required || *at(t) != 0) },
	}
}

func durationField[T any](name string, at func(*T) *int64, present func(*T) bool) fieldRule[T] {
	return fieldRule[T]{
		name: name,
		read: func(t *T, s string) (err error) {
			if *at(t), err = parseDuration(s); err == nil && *at(t) == 0 && !present(t) {
				err = errors.New("is above zero; leave the line out for the default")
			}
			return err
		},
		write: func(t *T) []string { return one(FormatDuration(*at(t)), present(t)) },
	}
}

// countField is a number that stands in the text unless it is -1, the default.
func countField[T any, N int16 | int64](name string, most uint64, at func(*T) *N) fieldRule[T] {
	return fieldRule[T]{
		name: name,
		read: func(t *T, s string) error {
			n, err := parseCountUpTo(s, min(most, math.MaxInt64))
			*at(t) = N(n)
			return err
		},
		write: func(t *T) []string { return one(fmt.Sprint(*at(t)), *at(t) != ownDefault) },
	}
}

func boolField[T any](name string, at func(*T) *bool) fieldRule[T] {
	return fieldRule[T]{
		name:  name,
		read:  func(t *T, s string) (err error) { *at(t), err = parseBool(s); return err },
		write: func(t *T) []string { return one("true", *at(t)) },
	}
}

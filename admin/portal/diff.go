package portal

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
)

// diffLine is one field that changed; nil values were not there.
type diffLine struct {
	Field         string
	Before, After string
}

// diffOf are the fields of two JSON objects that differ; either may be missing.
func diffOf(before, after json.RawMessage) (lines []diffLine) {
	was, is := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	_ = json.Unmarshal(before, &was) // no object: nothing to show
	_ = json.Unmarshal(after, &is)
	fields := slices.Sorted(maps.Keys(was))
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if _, known := was[name]; !known {
			fields = append(fields, name)
		}
	}
	for _, name := range fields {
		if b, a := plain(was[name]), plain(is[name]); b != a {
			lines = append(lines, diffLine{Field: words(name), Before: b, After: a})
		}
	}
	return lines
}

// words are a name of JSON as people write it: "graceSeconds" is "grace seconds".
func words(name string) string {
	var out strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			out.WriteByte(' ')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

// plain is a JSON value as people write it; "" for none and for what is empty.
func plain(value json.RawMessage) string {
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return ""
	}
	return plainValue(v)
}

func plainValue(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case json.Number:
		return number(v)
	case string:
		if t, err := time.Parse(time.RFC3339, v); err == nil {
			return moment(t) + " UTC"
		}
		return v
	case []any:
		var parts []string
		for _, part := range v {
			parts = append(parts, plainValue(part))
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if text := plainValue(v[name]); text != "" && text != "no" {
				parts = append(parts, words(name)+" "+text)
			}
		}
		return strings.Join(parts, ", ")
	}
	return ""
}

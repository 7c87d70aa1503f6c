package admin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// readJSON reads the body into v, strictly: one value, no field that v lacks.
func readJSON(r *http.Request, v any) error {
	if err := contentType(r, "application/json"); err != nil {
		return err
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return jsonProblem(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badJSON("there is something behind the JSON object; send one object")
	}
	return nil
}

func badJSON(format string, args ...any) *Problem {
	return refusal(http.StatusBadRequest, "bad-json", "the body is not the JSON that this request takes: %s", fmt.Sprintf(format, args...))
}

func jsonProblem(err error) error {
	var wrongType *json.UnmarshalTypeError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return err
	case errors.Is(err, io.EOF):
		return badJSON("it is empty; send a JSON object")
	case errors.As(err, &wrongType):
		p := badJSON("%s is a JSON %s where %s is expected", cmp.Or(wrongType.Field, "the whole"), wrongType.Value, jsonWord(wrongType.Type))
		p.Field = wrongType.Field
		return p
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return refusedField(http.StatusBadRequest, "unknown-field", strings.Trim(field, `"`), "this request has no field %s; check its spelling", field)
	}
	return badJSON("%s", strings.TrimPrefix(err.Error(), "json: "))
}

// jsonWord is a Go type as somebody who writes JSON knows it.
func jsonWord(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "a list"
	case reflect.Struct:
		return "an object"
	}
	return "a whole number"
}

// contentType refuses a body of another media type than the request takes.
func contentType(r *http.Request, wanted ...string) error {
	given := r.Header.Get("Content-Type")
	media, _, err := mime.ParseMediaType(given)
	for _, w := range wanted {
		if err == nil && media == w {
			return nil
		}
	}
	return refusal(http.StatusUnsupportedMediaType, "unsupported-media-type", "Content-Type %q: send %s", given, joined(wanted, "or"))
}

// readText reads a text/plain body.
func readText(r *http.Request) ([]byte, error) {
	if err := contentType(r, "text/plain"); err != nil {
		return nil, err
	}
	return io.ReadAll(r.Body)
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
	return nil
}

// writeText answers with plain text.
func writeText(w http.ResponseWriter, status int, text []byte) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text)
	return nil
}

// unixTime is a moment as answers have it: RFC 3339 in UTC; 0 is left out.
func unixTime(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// units of a duration as people write it, in the letters of license files.
var units = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}

// durationMax keeps the sum of a time and a duration far from overflow.
const durationMax = 100 * 365 * 24 * time.Hour

// ParseDuration reads a duration in the form of license files: a whole number
// and one of d, h, m, s, such as 90d; at most 100 years.
func ParseDuration(s string) (time.Duration, error) {
	if s != "" {
		unit, ok := units[s[len(s)-1]]
		n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
		if ok && err == nil && n <= uint64(durationMax/unit) {
			return time.Duration(n) * unit, nil
		}
	}
	return 0, fmt.Errorf("duration %q: expected a whole number and d, h, m or s, such as 90d, at most 100 years", s)
}

// joined is a list as a sentence has it: "a, b or c".
func joined(list []string, conjunction string) string {
	last := len(list) - 1
	if last < 1 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:last], ", ") + " " + conjunction + " " + list[last]
}

func known(parameters []string) string {
	if len(parameters) == 0 {
		return "it takes none"
	}
	return "it takes " + joined(parameters, "and")
}

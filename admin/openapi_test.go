package admin

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/pb33f/libopenapi"
)

// The description is a valid document of OpenAPI 3.1, with every route in it.
func TestOpenAPI(t *testing.T) { // [OPS-3]
	b := newBed(t)
	answer := b.send(request("", "GET", "/api/v1/openapi.json", noBody))
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	document, err := libopenapi.NewDocument(data)
	if err != nil {
		t.Fatal(err)
	}
	model, err := document.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	if document.GetVersion() != "3.1.0" {
		t.Errorf("version %s", document.GetVersion())
	}
	seen := map[string]bool{}
	operations := 0
	for _, item := range model.Model.Paths.PathItems.FromOldest() {
		for _, op := range item.GetOperations().FromOldest() {
			operations++
			if op.OperationId == "" || seen[op.OperationId] || op.Summary == "" {
				t.Errorf("operation %q, %q", op.OperationId, op.Summary)
			}
			seen[op.OperationId] = true
		}
	}
	if operations != len(b.admin.routes()) {
		t.Errorf("%d operations, %d routes", operations, len(b.admin.routes()))
	}
}

// asDescribed holds an answer against the description of its route: its status,
// its media type, and every field of its JSON. Every answer of every test in this
// package goes through it.
func (b *bed) asDescribed(r *http.Request, answer *http.Response) {
	b.t.Helper()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	i := slices.IndexFunc(b.admin.routes(), func(rt route) bool { return rt.method+" "+rt.path == b.pattern(r) })
	if i < 0 || answer.StatusCode >= 300 { // a problem is looked at by who expects it
		return
	}
	rt := b.admin.routes()[i]
	if !slices.Contains(rt.doc.status, answer.StatusCode) {
		b.t.Errorf("%s %s answers %d, which is not described", r.Method, r.URL.Path, answer.StatusCode)
	}
	media, _, _ := strings.Cut(answer.Header.Get("Content-Type"), ";")
	if rt.doc.gives == nil {
		if len(body) > 0 {
			b.t.Errorf("%s %s answers with a body, which is not described", r.Method, r.URL.Path)
		}
		return
	}
	if _, described := (schemas{}).content(rt.doc.gives)[media]; !described && media != "text/csv" {
		b.t.Errorf("%s %s answers %s, which is not described", r.Method, r.URL.Path, media)
	}
	if t := reflect.TypeOf(rt.doc.gives); t.Kind() == reflect.Struct && media == "application/json" {
		if err := valid(t, body); err != nil {
			b.t.Errorf("%s %s: %v in %s", r.Method, r.URL.Path, err, body)
		}
	}
}

// valid says whether JSON is of a type as the description has it.
func valid(t reflect.Type, data []byte) error {
	schema, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: texts})
	if err != nil {
		return err
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		return err
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	return resolved.Validate(v)
}

package admin

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"muster/license"
)

// The API describes itself: the document is made of the table of routes and of
// the Go types that the handlers read and write, so that it can't fall behind.

func (a *Admin) openAPIRoutes() []route {
	return []route{
		{method: "GET", path: "/api/v1/openapi.json", handle: a.showOpenAPI,
			doc: doc{"This description, in OpenAPI 3.1", nil, anyObject, []int{200}}},
	}
}

// doc is what there is to say about a route.
type doc struct {
	summary string
	takes   any   // a value of the type of the body, a bodyKind, or nil
	gives   any   // likewise, of an answer that succeeds
	status  []int // of answers that succeed
}

// bodyKind is a body that is no JSON of a type.
type bodyKind int

const (
	plainText bodyKind = iota
	jsonLines
	eventStream
	zstdFile
	anyObject
	licenseFileBody
	eitherSetup
)

// object is a JSON object of the document, written in alphabetical order.
type object = map[string]any

func (a *Admin) showOpenAPI(w http.ResponseWriter, _ *http.Request) error {
	document, err := a.openAPI()
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, document)
}

// openAPI makes the document.
func (a *Admin) openAPI() (object, error) {
	s := schemas{}
	paths := object{}
	for _, rt := range a.routes() {
		path := strings.TrimSuffix(rt.path, "{$}")
		operations, _ := paths[path].(object)
		if operations == nil {
			operations = object{}
			paths[path] = operations
		}
		operations[strings.ToLower(rt.method)] = s.operation(&rt)
	}
	problem := s.of(Problem{})
	return object{
		"openapi": "3.1.0",
		"info":    object{"title": "muster admin API", "version": cmp.Or(a.Version, "unknown"), "description": "See docs/API.md."},
		"servers": []object{{"url": "."}},
		"paths":   paths,
		"components": object{
			"schemas": s,
			"responses": object{"Problem": object{
				"description": "The request failed and has changed nothing (RFC 9457).",
				"content":     object{"application/problem+json": object{"schema": problem}},
			}},
			"securitySchemes": object{
				"token":   object{"type": "http", "scheme": "bearer"},
				"session": object{"type": "apiKey", "in": "cookie", "name": SessionCookie},
			},
		},
	}, s.err()
}

// operation describes a route.
func (s schemas) operation(rt *route) object {
	op := object{"summary": rt.doc.summary, "operationId": operationID(rt), "responses": s.responses(rt)}
	if rt.scope != ScopeNone {
		op["security"] = []object{{"token": []string{}}, {"session": []string{}}}
		op["description"] = "Scope " + string(rt.scope) + "."
	} else {
		op["security"] = []object{}
	}
	if parameters := parametersOf(rt); len(parameters) > 0 {
		op["parameters"] = parameters
	}
	if rt.doc.takes != nil {
		op["requestBody"] = object{"required": true, "content": s.content(rt.doc.takes)}
	}
	return op
}

// operationID is a name for generated clients: method and path.
func operationID(rt *route) string {
	id := strings.ToLower(rt.method)
	for _, part := range strings.FieldsFunc(strings.TrimPrefix(rt.path, "/api/v1"), func(r rune) bool { return strings.ContainsRune("/-{}$.", r) }) {
		id += strings.ToUpper(part[:1]) + part[1:]
	}
	return id
}

func parametersOf(rt *route) (list []object) {
	for _, part := range strings.Split(rt.path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok && part != "{$}" {
			list = append(list, object{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": object{"type": "string"}})
		}
	}
	for _, name := range rt.query {
		list = append(list, object{"name": name, "in": "query", "schema": object{"type": "string"}})
	}
	return list
}

func (s schemas) responses(rt *route) object {
	answers := object{"default": object{"$ref": "#/components/responses/Problem"}}
	for _, status := range rt.doc.status {
		answer := object{"description": http.StatusText(status)}
		if rt.doc.gives != nil {
			answer["content"] = s.content(rt.doc.gives)
			if slices.Contains(rt.query, "format") {
				answer["content"].(object)["text/csv"] = object{"schema": object{"type": "string"}}
			}
		}
		answers[strconv.Itoa(status)] = answer
	}
	return answers
}

// content is a body by its media types.
func (s schemas) content(v any) object {
	text := object{"schema": object{"type": "string"}}
	switch v {
	case plainText:
		return object{"text/plain": text}
	case jsonLines:
		return object{"application/jsonl": text}
	case eventStream:
		return object{"text/event-stream": text}
	case zstdFile:
		return object{"application/zstd": object{"schema": object{"type": "string", "format": "binary"}}}
	case anyObject:
		return object{"application/json": object{"schema": object{"type": "object"}}}
	case licenseFileBody:
		form := object{"type": "object", "properties": object{"file": object{"type": "string"}}, "required": []string{"file"}}
		return object{"text/plain": text, "multipart/form-data": object{"schema": form}}
	case eitherSetup:
		return object{"application/json": object{"schema": object{"oneOf": []object{s.of(Session{}), s.of(Token{})}}}}
	}
	return object{"application/json": object{"schema": s.of(v)}}
}

// schemas are the schemas of the types that the API reads and writes, by name.
type schemas map[string]any

// texts are the types that are written as a string.
var texts = map[reflect.Type]*jsonschema.Schema{
	reflect.TypeFor[time.Time]():       {Type: "string", Format: "date-time"},
	reflect.TypeFor[license.UUID]():    {Type: "string"},
	reflect.TypeFor[json.RawMessage](): {},
}

// of returns a reference to the schema of a value's type.
func (s schemas) of(v any) object {
	t := reflect.TypeOf(v)
	if _, known := s[t.Name()]; !known {
		schema, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: texts})
		if err != nil {
			s[t.Name()] = fmt.Errorf("schema of %v: %w", t, err)
		} else {
			s[t.Name()] = schema
		}
	}
	return object{"$ref": "#/components/schemas/" + t.Name()}
}

// err is the first type that has no schema.
func (s schemas) err() error {
	for _, v := range s {
		if err, failed := v.(error); failed {
			return err
		}
	}
	return nil
}

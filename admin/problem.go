package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"muster/admin/alerts"
	"muster/engine"
	"muster/license"
)

// ProblemPrefix begins every problem type; the kind follows it.
const ProblemPrefix = "urn:muster:problem:"

// Problem is the answer to a request that failed (RFC 9457).
type Problem struct {
	Type   string `json:"type"` // ProblemPrefix and the kind, a stable word
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"` // what happened and what to do next
	// Where in a license file, vendor key or license key it is [FILE-1], or which
	// field or parameter of the request it is about.
	Line  int    `json:"line,omitempty"`
	Item  string `json:"item,omitempty"`
	Field string `json:"field,omitempty"` // of an object in the request: outer.inner
}

// Kind is the problem's type without the prefix.
func (p *Problem) Kind() string { return strings.TrimPrefix(p.Type, ProblemPrefix) }

// Error is the detail.
func (p *Problem) Error() string { return p.Detail }

// refusal makes a problem of a request that is refused.
func refusal(status int, kind, format string, args ...any) *Problem {
	return &Problem{Type: ProblemPrefix + kind, Title: titleOf(kind), Status: status, Detail: fmt.Sprintf(format, args...)}
}

// refusedField is refusal of what stands in a field or parameter of the request.
func refusedField(status int, kind, field, format string, args ...any) *Problem {
	p := refusal(status, kind, format, args...)
	p.Field = field
	return p
}

func titleOf(kind string) string {
	words := strings.ReplaceAll(kind, "-", " ")
	return strings.ToUpper(words[:1]) + words[1:]
}

func notReady() *Problem {
	return refusal(http.StatusServiceUnavailable, "not-ready", "the server recovers its state and is not ready yet; try again in a moment")
}

type editKind struct {
	err    error
	status int
	kind   string
}

// editKinds maps the engine's errors [IMP-1], [PRJ-1].
var editKinds = []editKind{
	{engine.ErrNotFound, http.StatusNotFound, "not-found"},
	{engine.ErrConflict, http.StatusConflict, "conflict"},
	{engine.ErrInvalid, http.StatusUnprocessableEntity, "invalid"},
}

// problemOf turns an error into what the caller is told; ok is false when it is
// none of the caller's business.
func problemOf(err error) (p *Problem, ok bool) {
	var tooLarge *http.MaxBytesError
	var fault *license.Error
	var setting *alerts.Fault
	var edit *engine.EditError
	switch {
	case errors.As(err, &p):
		return p, true
	case errors.As(err, &tooLarge):
		return refusal(http.StatusRequestEntityTooLarge, "too-large", "the request's body has more than %d bytes, which is the limit here", tooLarge.Limit), true
	case errors.As(err, &fault):
		return problemOfLicense(err, fault), true
	case errors.As(err, &setting):
		return refusedField(http.StatusUnprocessableEntity, "invalid", setting.Field, "%s", setting.Error()), true
	case errors.As(err, &edit):
		return problemOfEdit(edit), true
	case errors.Is(err, ErrUnavailable):
		return refusal(http.StatusServiceUnavailable, "not-ready", "the server is starting or stopping; try again in a moment"), true
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return refusal(http.StatusServiceUnavailable, "canceled", "the request ended before it was decided; look whether it took effect, and send it again if not"), true
	}
	return refusal(http.StatusInternalServerError, "internal", "the server failed at this request; its log says why"), false
}

func problemOfEdit(edit *engine.EditError) *Problem {
	i := slices.IndexFunc(editKinds, func(k editKind) bool { return k.err == edit.Kind })
	p := refusedField(editKinds[i].status, editKinds[i].kind, edit.Field, "%s", edit.Text)
	p.Item = edit.Item
	return p
}

func problemOfLicense(err error, fault *license.Error) *Problem {
	status := http.StatusUnprocessableEntity
	if fault.Kind == license.TooLarge {
		status = http.StatusRequestEntityTooLarge
	}
	p := refusal(status, fault.Kind.String(), "%s", err)
	p.Line, p.Item, p.Field = fault.Line, fault.Item, fault.Field
	return p
}

// writeProblem answers a failed request. What the caller may not see is logged.
func (a *Admin) writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	p, ok := problemOf(err)
	if !ok {
		a.notices.Tell(slog.LevelError, "request "+r.Pattern, 1, "an admin request failed; report this line to muster's makers if it lasts", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if p.Status == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", "1")
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="muster"`)
	}
	body, err := json.Marshal(p)
	if err != nil {
		panic("admin: a problem does not marshal: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(body)
}

package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func (b *bed) export() []byte {
	b.t.Helper()
	answer := b.send(request(localToken, "GET", "/api/v1/audit/export", noBody))
	data, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != ok {
		b.t.Fatalf("export: %d, %v", answer.StatusCode, err)
	}
	return data
}

func (b *bed) auditPage(query string) (page AuditPage) {
	b.t.Helper()
	b.call(localToken, "GET", "/api/v1/audit"+query, noBody, ok, &page)
	return page
}

// compact is JSON without blanks.
func compact(t *testing.T, data []byte) string {
	t.Helper()
	if len(data) == 0 {
		return ""
	}
	var out bytes.Buffer
	if err := json.Compact(&out, data); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Every change leaves an entry that says who, what, and the fields that changed,
// and no secret; what changes nothing leaves none.
func TestAudit(t *testing.T) { // [OPS-1]
	b := newBed(t)
	project := b.imported()
	device := "/api/v1/devices/" + b.seated(project, 7)
	public, err := b.vendor.Public().MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		method, target string
		in             body
		status         int
		want           string // "what target before after", "" for no entry
	}{
		{"POST", "/api/v1/license-files", text(b.licenseText("1001", "2001")), ok, ""},
		{"PATCH", "/api/v1/projects/" + project, jsonBody(`{"name": "Readers"}`), ok, `project.edit ` + project + ` {"name":"DM_1001_Date20261123"} {"name":"Readers"}`},
		{"PATCH", "/api/v1/projects/" + project, jsonBody(`{"name": "Readers"}`), ok, ""},
		{"PATCH", "/api/v1/projects/" + project, jsonBody(`{"password": "of devices"}`), ok, `project.edit ` + project + ` {"passwordGeneration":1,"passwordSet":false} {"passwordGeneration":2,"passwordSet":true}`},
		{"PATCH", "/api/v1/projects/" + project, jsonBody(`{"name": " "}`), 422, ""},
		{"PUT", "/api/v1/server/addresses", jsonBody(`{"addresses": ["tcp://a:1"]}`), ok, `server.addresses server {"addresses":null} {"addresses":["tcp://a:1"]}`},
		{"PUT", "/api/v1/server/addresses", jsonBody(`{"addresses": ["tcp://a:1"]}`), ok, ""},
		{"POST", "/api/v1/server/clock", noBody, ok, ""}, // it was right,
		{"POST", "/api/v1/server/ticket-keys", jsonBody(`{"endSessions": true}`), ok, `server.ticket-keys server  {"endSessions":true,"epoch":2}`},
		{"POST", "/api/v1/vendor-keys", text(public), ok, ""}, // it is configured
		{"POST", device + "/block", noBody, ok, `device.block ` + strings.TrimPrefix(device, "/api/v1/devices/") + ` {"blocked":false} {"blocked":true}`},
		{"GET", device, noBody, ok, ""},
	} {
		before := b.auditPage("?limit=1")
		b.call(localToken, step.method, step.target, step.in, step.status, nil)
		after := b.auditPage("?limit=1")
		got := ""
		if e := after.Entries[0]; e.Number != before.Entries[0].Number {
			got = fmt.Sprintf("%s %s %s %s", e.What, e.Target, compact(t, e.Before), compact(t, e.After))
			if e.Who != "local" || !e.Time.Equal(b.now) || e.Previous != before.Head {
				t.Errorf("entry %+v", e)
			}
		}
		if got != step.want {
			t.Errorf("%s %s leaves %q, want %q", step.method, step.target, got, step.want)
		}
	}
	if bytes.Contains(b.export(), []byte("of devices")) {
		t.Error("a password is in the audit")
	}
	if first := b.auditPage("?limit=1&before=2").Entries[0]; first.What != "license-file.import" || first.Target != "1001" || !strings.Contains(string(first.After), project) {
		t.Errorf("first entry %+v", first)
	}
}

// The chain is found whole over object boundaries and a restart of the API, and
// pages give all of it.
func TestAuditChain(t *testing.T) {
	b := newBed(t)
	const changes = 3*auditPerObject + 5
	for i := range changes {
		b.call(localToken, "PUT", "/api/v1/server/addresses", jsonBody(`{"addresses": ["tcp://a:%d"]}`, i+1), ok, nil)
		if i == 2*auditPerObject {
			b.handler = New(b.config()).Handler()
		}
	}
	data := b.export()
	v, err := VerifyAudit(data)
	if err != nil || v.Entries != changes || v.Last != changes || v.Head != b.auditPage("").Head {
		t.Errorf("%+v, %v", v, err)
	}
	var numbers []uint64
	for next := uint64(0); ; {
		query := "?limit=50"
		if next != 0 {
			query += fmt.Sprint("&before=", next)
		}
		page := b.auditPage(query)
		for _, e := range page.Entries {
			numbers = append(numbers, e.Number)
		}
		if next = page.Next; next == 0 {
			break
		}
	}
	if len(numbers) != changes || numbers[0] != changes || numbers[changes-1] != 1 {
		t.Errorf("%d entries in pages", len(numbers))
	}
	for _, query := range []string{"?limit=0", "?limit=1001", "?before=x", "?before=0"} {
		b.refused(localToken, "GET", "/api/v1/audit"+query, noBody, http.StatusBadRequest, "bad-parameter")
	}
}

// What is altered, taken out, put in or put in another order is found.
func TestAuditTampered(t *testing.T) {
	b := newBed(t)
	for i := range 5 {
		b.call(localToken, "PUT", "/api/v1/server/addresses", jsonBody(`{"addresses": ["tcp://a:%d"]}`, i+1), ok, nil)
	}
	genuine := b.export()
	whole, err := VerifyAudit(genuine)
	if err != nil {
		t.Fatal(err)
	}
	for i := range genuine {
		altered := bytes.Clone(genuine)
		altered[i] ^= 1
		if v, err := VerifyAudit(altered); err == nil && v.Head == whole.Head {
			t.Fatalf("byte %d altered: %+v", i, v)
		}
	}
	lines := bytes.SplitAfter(bytes.TrimSpace(genuine), []byte("\n"))
	for name, kept := range map[string][]int{"one missing": {0, 1, 3, 4}, "two changed places": {0, 2, 1, 3, 4}, "one twice": {0, 1, 1, 2, 3, 4}, "none": {}} {
		var data []byte
		for _, i := range kept {
			data = append(append(data, bytes.TrimSpace(lines[i])...), '\n')
		}
		if v, err := VerifyAudit(data); err == nil {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if v, err := VerifyAudit(bytes.Join(lines[2:], nil)); err != nil || v.First != 3 || v.Head != whole.Head {
		t.Errorf("the end alone: %+v, %v", v, err)
	}
}

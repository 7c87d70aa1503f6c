package portal

import (
	"slices"
	"strings"

	"muster/admin"
)

func (p *Portal) auditRoutes() []route {
	return []route{{pattern: "GET /audit", handle: showAudit}}
}

// auditPage is a page of the audit, newest first.
type auditPage struct {
	Rows  []auditRow
	Next  uint64 // number of the entry to go on before; 0: these were the last
	Head  string // hash of the newest entry
	First bool   // the newest entries
}

// auditRow is one entry in words.
type auditRow struct {
	admin.AuditEntry
	Did   string // in words
	Link  string // to what was changed, if there is a page of it
	Lines []diffLine
}

// Long says whether the entry is of something new that has many fields: they are
// folded.
func (r *auditRow) Long() bool {
	return len(r.Lines) > 5 && !slices.ContainsFunc(r.Lines, func(l diffLine) bool { return l.Before != "" })
}

// deeds are what entries tell of, in words.
var deeds = map[string]string{
	"account.set": "set the account", "account.remove": "removed the account",
	"alerts.thresholds": "set thresholds of", "alerts.mail": "set the mail server of", "alerts.webhook": "set the webhook of",
	"alerts.portal": "set the address of links in", "alerts.test": "sent a test of", "alerts.message": "sent the message",
	"device.block": "blocked the device", "device.unblock": "unblocked the device",
	"device.clear-clone": "cleared the clone", "device.free-seat": "freed a seat of the device",
	"license-file.import": "imported the license", "project.create": "made the project", "project.edit": "changed the project",
	"server.addresses": "set the addresses of the", "server.clock": "accepted the clock of the", "server.ticket-keys": "rotated the ticket keys of the",
	"token.create": "made the token", "token.revoke": "revoked the token", "vendor-key.add": "trusted the vendor key",
}

func showAudit(x *exchange) error {
	before := x.r.URL.Query().Get("before")
	var list admin.AuditPage
	if err := x.api.get("audit"+asked("limit", "50", "before", before), &list); err != nil {
		return err
	}
	data := auditPage{Next: list.Next, Head: list.Head, First: before == ""}
	for _, e := range list.Entries {
		data.Rows = append(data.Rows, auditRowOf(e))
	}
	return x.show("audit", "Audit", &data)
}

func auditRowOf(e admin.AuditEntry) auditRow {
	row := auditRow{AuditEntry: e, Did: deeds[e.What], Lines: diffOf(e.Before, e.After)}
	if row.Did == "" {
		row.Did = words(strings.ReplaceAll(e.What, ".", " "))
	}
	switch kind, _, _ := strings.Cut(e.What, "."); kind {
	case "project":
		row.Link = at("projects", e.Target)
	case "device":
		row.Link = at("devices", e.Target)
	case "alerts":
		row.Link = "alerts"
	case "license-file":
		row.Link = "items" + asked("show", "all", "search", e.Target)
	}
	return row
}

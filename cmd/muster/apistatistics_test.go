package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"strings"
	"testing"

	"muster/client"
	"muster/license"
)

// What devices used, as the CLI shows it. [STAT-1] [STAT-2] [STAT-4] [OPS-1] [OPS-3]
func TestAPIStatistics(t *testing.T) {
	c := newCLI(t)
	c.ok(words("import --preview "+c.file), "is new here", "1001/scans", "new", "nothing was imported")
	c.ok(words("import " + c.file))
	newer := strings.Replace(c.file, "1001.lic", "newer.lic", 1)
	if err := os.WriteFile(newer, c.license("1001", 2), 0o600); err != nil {
		t.Fatal(err)
	}
	c.ok(words("import --preview "+newer), "is a newer revision")
	project := c.p.store.Core.Catalog().Projects[1]
	key := license.LicenseKey{
		ProjectID: project.ID, OrganizationID: project.Organization, Password: project.Password,
		Addresses: []license.Address{{Transport: "tcp", HostPort: c.p.front.Addr().String(), HandshakeKey: c.p.identity.Public.HandshakeKey}},
	}.String()
	device := c.client(key, client.State{})
	ctx := context.Background()
	if _, err := device.CheckIn(ctx, client.Use{Product: "DBR", Version: 11, ChargeWay: license.Scan}); err != nil {
		t.Fatal(err)
	}
	if err := device.Report(ctx, client.Count{Module: "QR", Count: 37}, client.Count{Module: "1D", Count: 5}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.client(key, client.State{}).CheckIn(ctx, client.Use{Product: "NONE"}); err == nil {
		t.Fatal("a product that nobody licensed was granted")
	}
	uuid := device.State().UUID.String()

	out := c.ok(words("statistics --days 2")).stdout
	if !strings.Contains(out, "QR") || !strings.Contains(out, "1D") || !strings.HasSuffix(strings.Join(strings.Fields(out), " "), "total 37 5") {
		t.Errorf("statistics:\n%s", out)
	}
	rows, err := csv.NewReader(strings.NewReader(c.ok(words("statistics --days 1 --format csv --project " + project.ID)).stdout)).ReadAll()
	if err != nil || len(rows) != 2 || fmt.Sprint(rows[1][1:]) != "[37 5]" {
		t.Errorf("as CSV: %v, %v", rows, err)
	}
	c.ok(words("statistics --measure denials"), "106")
	c.ok(words("records "+project.ID+" reports"), uuid, "1001/scans")
	c.ok(words("records "+project.ID+" denials --format csv"), "106", "product mismatch")
	c.ok(words("device find --search "+uuid[:6]), uuid)
	c.ok(words("device history "+uuid), "report", "authorization")
	failsAPI(t, exitFailed, "expected a number of days", "statistics", "--days", "many")
	failsAPI(t, exitFailed, "there are reports, authorizations and denials", "records", project.ID, "refunds")
	failsAPI(t, exitFailed, "expected held, blocked or clone", "device", "find", "--state", "lost")
}

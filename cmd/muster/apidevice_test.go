package main

import (
	"encoding/json"
	"strings"
	"testing"

	"muster/admin"
	"muster/client"
	"muster/license"
)

// seated checks a new device in for a seat on 1001/seats and returns its UUID.
func (c *cli) seated() string {
	c.t.Helper()
	id := c.p.store.Core.Catalog().Projects[1].ID
	device := c.client(strings.TrimSpace(c.ok(words("key "+id)).stdout), client.State{})
	if _, err := device.CheckIn(c.t.Context(), client.Use{Product: "DBR", Version: 11, ChargeWay: license.DeviceYearly}); err != nil {
		c.t.Fatal(err)
	}
	return device.State().UUID.String()
}

func TestAPIDevices(t *testing.T) { // [DEV-4] [DEV-5] [CLI-5]
	c := newCLI(t)
	c.ok(words("import " + c.file))
	uuid := c.seated()
	c.ok(words("device show "+strings.ToLower(uuid)), uuid, "blocked  no", "2001-", "1001/seats  held", "UTC")
	c.ok(words("device block "+uuid), "blocked  yes")
	c.ok(words("device unblock "+uuid), "blocked  no")
	c.ok(words("device clear-clone "+uuid), uuid)
	c.ok(words("device free-seat "+uuid+" 1001/seats"), "freed by hand")
	var d admin.Device
	if err := json.Unmarshal([]byte(c.ok(words("device show --json "+uuid)).stdout), &d); err != nil || d.UUID.String() != uuid || !d.Seats[0].Freed {
		t.Errorf("device %+v, %v", d, err)
	}
	c.fails(exitFailed, "holds no seat", words("device free-seat "+uuid+" 1001/seats")...)
	c.fails(exitFailed, `no item "1001/none"`, words("device free-seat "+uuid+" 1001/none")...)
	for range 4 { // with the first one a tenth of the quota of 50
		c.ok(words("device free-seat " + c.seated() + " 1001/seats"))
	}
	c.fails(exitFailed, "its license allows 5", words("device free-seat "+c.seated()+" 1001/seats")...)
	c.fails(exitFailed, "no device with client UUID", words("device show "+license.UUID{1}.String())...)
	c.fails(exitFailed, "no device with client UUID", words("device block "+license.UUID{1}.String())...)
	c.fails(exitUsage, `"laptop" is not a UUID`, words("device block laptop")...)
	c.fails(exitUsage, "is not a UUID", "device", "show", "")
	c.fails(exitUsage, "accepts 2 arg", words("device free-seat "+uuid)...)
	c.fails(exitUsage, "no command", words("device remove "+uuid)...)
}

func TestAPIDeviceScope(t *testing.T) {
	c := newCLI(t)
	c.ok(words("import " + c.file))
	uuid := c.seated()
	secret := strings.TrimSpace(c.ok(words("token create --name monitor --scope read")).stdout)
	c.ok([]string{"device", "show", uuid, "--token", secret}, uuid)
	c.fails(exitFailed, "permission denied", "device", "block", uuid, "--token", secret)
}

func TestAPIProjectValidation(t *testing.T) { // [PRJ-5]
	c := newCLI(t)
	c.ok(words("import " + c.file))
	c.ok(words("project create --name Docks --suffix docks --domain example.com"), "domains", "example.com")
	c.ok([]string{"project", "edit", "2001-docks", "--process", "reader, new.exe", "--process", "reader"}, "reader, new.exe, reader")
	c.ok(words("project edit 2001-docks --domain *.example.org --domain b.example --application com.acme.app"))
	c.ok(words("project show 2001-docks"), "*.example.org, b.example", "com.acme.app", "reader, new.exe, reader")
	p, _ := c.p.store.Core.Catalog().Project("2001-docks")
	if v := p.Validation; len(v.Domains) != 2 || len(v.Applications) != 1 || len(v.Processes) != 2 {
		t.Errorf("validation %+v", v)
	}
	c.ok([]string{"project", "edit", "2001-docks", "--domain", ""})
	p, _ = c.p.store.Core.Catalog().Project("2001-docks")
	if v := p.Validation; len(v.Domains) != 0 || len(v.Applications) != 1 || len(v.Processes) != 2 {
		t.Errorf("with the domains cleared %+v", v)
	}
	c.fails(exitUsage, "not both", words("project edit 2001-docks --no-validation --domain example.com")...)
	c.fails(exitFailed, "example.com", words("project edit 2001-docks --domain https://example.com/")...)
	c.fails(exitFailed, "no project", words("project edit 2001-0 --domain example.com")...)
	c.ok(words("project edit 2001-docks --no-validation"), "none: every application may use it")
	if p, _ := c.p.store.Core.Catalog().Project("2001-docks"); !p.Validation.IsZero() {
		t.Errorf("cleared, but %+v", p.Validation)
	}
}

func TestAPIProjectShares(t *testing.T) { // [PRJ-7]
	c := newCLI(t)
	c.ok(words("import " + c.file))
	id := c.p.store.Core.Catalog().Projects[1].ID
	c.ok(words("project edit "+id+" --reserve 1001/seats=5 --cap 1001/seats=20"), "share of 1001/seats", "reserved 5, cap 20, used 0")
	c.seated()
	c.ok(words("project edit "+id+" --cap 1001/seats=none"), "reserved 5, no cap, used 1")
	c.fails(exitFailed, "its quota is 50", words("project edit "+id+" --reserve 1001/seats=51")...)
	c.fails(exitUsage, "LICENSE/ITEM=N", words("project edit "+id+" --reserve 1001/seats")...)
	c.fails(exitFailed, `no item "1001/none"`, words("project edit "+id+" --reserve 1001/none=1")...)
	c.ok(words("project edit " + id + " --reserve 1001/seats=0"))
	if p, _ := c.p.store.Core.Catalog().Project(id); len(p.Shares) != 0 {
		t.Errorf("taken away, but %+v", p.Shares)
	}
}

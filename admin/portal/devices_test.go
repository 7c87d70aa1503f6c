package portal

import (
	"net/http"
	"testing"

	"muster/admin"
	"muster/license"
)

func TestDevices(t *testing.T) {
	b, project := stocked(t)
	v := b.as(admin.RoleViewer)
	v.page("/devices").has(deviceName(1), deviceName(2), "1001/device-yearly", "holds a seat")
	g := v.page("/devices?search=02&item=1001/device-yearly")
	g.has(deviceName(2))
	g.lacks(deviceName(1))
	v.page("/devices?search=xyz").has("a client UUID or how it begins")
	v.page("/devices?state=blocked").has("No device matches")
	for i := range byte(60) {
		b.uses(project, license.Scan, 100+i, 0)
	}
	g = v.page("/devices")
	g.has(`href="devices?after=`)
	g.lacks(deviceName(159))
}

func TestDevice(t *testing.T) { // [DEV-4] [DEV-5]
	b, _ := stocked(t)
	v := b.as(admin.RoleAdmin)
	path := "/devices/" + deviceName(2)
	v.page(path).has("1001/device-yearly", "held", "2027-11-23 12:00:00", "in order", "authorized")
	v.done(path+"/block").has("gets error 161", "blocked", "Unblock")
	v.done(path + "/unblock").has("served again")
	v.done(path + "/clear-clone").has("The clone is cleared")
	v.done(path+"/free-seat", "item", "1001/device-yearly").has("is free", "freed by hand")
	g := v.post(path+"/free-seat", "item", "1001/device-yearly")
	if g.status != http.StatusConflict {
		t.Errorf("freed twice: %d", g.status)
	}
	g.has(`role="alert"`)
	if g := v.get("/devices/" + deviceName(99)); g.status != http.StatusNotFound {
		t.Errorf("a device that never was: %d", g.status)
	}
}

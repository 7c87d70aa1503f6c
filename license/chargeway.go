package license

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// ChargeWay is how an item's use is counted (domain, section 4). The numbers are frozen: they stand in certificates.
type ChargeWay uint8

// The charge ways. Frozen order.
const (
	Scan               ChargeWay = iota + 1 // successful scans in the item's life [SCAN-1]
	Page                                    // pages in the item's life [PAGE-1]
	DeviceYearly                            // devices active within 365 days [DEV-1]
	DeviceQuarterly                         // devices active within 90 days
	DeviceMonthly                           // devices active within 30 days
	DeviceDaily                             // devices active within 24 hours
	ConcurrentDevice                        // devices in one 3-minute slot [CDEV-1]
	Server                                  // servers that hold a lease [SRVR-1]
	Domain                                  // unlimited use under named domains [DOM-1]
	ConcurrentInstance                      // instances in one 3-minute slot [INST-1]
)

// Index 0 is no charge way.
var chargeWayNames = []string{
	"", "scan", "page", "device-yearly", "device-quarterly", "device-monthly", "device-daily",
	"concurrent-device", "server", "domain", "concurrent-instance",
}

// String is the name as it stands in license files: "scan", "device-yearly", …
func (w ChargeWay) String() string {
	if w.valid() {
		return chargeWayNames[w]
	}
	return fmt.Sprintf("charge-way-%d", uint8(w))
}

// ParseChargeWay reads the form of String.
func ParseChargeWay(s string) (ChargeWay, error) {
	if i := slices.Index(chargeWayNames, s); i > 0 {
		return ChargeWay(i), nil
	}
	return 0, fmt.Errorf("%q is not a charge way; choose one of %s", s, strings.Join(chargeWayNames[1:], ", "))
}

// MarshalText is String as bytes; an error for a value that is no charge way.
func (w ChargeWay) MarshalText() ([]byte, error) {
	if !w.valid() {
		return nil, fmt.Errorf("%d is not a charge way", uint8(w))
	}
	return []byte(w.String()), nil
}

// UnmarshalText is ParseChargeWay into w.
func (w *ChargeWay) UnmarshalText(text []byte) (err error) {
	*w, err = ParseChargeWay(string(text))
	return err
}

// BySlot says whether devices or instances are counted a slot, and what is above the quota is drawn from a budget
// [CDEV-1], [INST-2].
func (w ChargeWay) BySlot() bool { return w == ConcurrentDevice || w == ConcurrentInstance }

// Period is how long a device counts as active after it was heard of: 365, 90 or 30 days or 24 hours for the device
// ways, 0 for all others [DEV-1].
func (w ChargeWay) Period() time.Duration {
	const day = 24 * time.Hour
	switch w {
	case DeviceYearly:
		return 365 * day
	case DeviceQuarterly:
		return 90 * day
	case DeviceMonthly:
		return 30 * day
	case DeviceDaily:
		return day
	}
	return 0
}

// tolerancePercent is the charge way's own tolerance: [SCAN-2] 5 %, [DEV-3] 10 %, none elsewhere.
func (w ChargeWay) tolerancePercent() uint64 {
	switch {
	case w == Scan || w == Page:
		return 5
	case w.countsDevices():
		return 10
	}
	return 0
}

func (w ChargeWay) valid() bool         { return w >= Scan && w <= ConcurrentInstance }
func (w ChargeWay) countsDevices() bool { return w.Period() > 0 }
func (w ChargeWay) hasOveruse() bool    { return w == ConcurrentDevice || w == ConcurrentInstance }

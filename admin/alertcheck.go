package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"muster/admin/alerts"
	"muster/engine"
	"muster/license"
)

// alerting is what an Admin remembers of alerts beside their durable state.
type alerting struct {
	settings records[alertSettings]
	messages records[alertMessage]
	last     atomic.Pointer[evaluation]
	woken    chan struct{} // RunAlerts looks at once
	checking sync.Mutex    // one evaluation at a time
	counts   deliveryCounts
}

func (l *alerting) init() {
	l.settings.kind, l.messages.kind = objectAlertSettings, objectAlertMessage
	l.woken = make(chan struct{}, 1)
}

func (l *alerting) wake() {
	select {
	case l.woken <- struct{}{}:
	default: // it is about to look
	}
}

// evaluation is what the last evaluation found.
type evaluation struct {
	at  int64 // unix seconds
	met []alerts.Met
}

var alertStateKey = engine.ObjectKey{Kind: objectAlertState, ID: 1}

// alertsPoll is how often RunAlerts looks whether something is due.
const alertsPoll = 5 * time.Second

// RunAlerts evaluates alerts every Config.AlertInterval and delivers what is due,
// until ctx ends.
func (a *Admin) RunAlerts(ctx context.Context) {
	tick := time.NewTicker(min(alertsPoll, max(a.AlertInterval, time.Second)))
	defer tick.Stop()
	for {
		if a.isReady() {
			a.runAlerts(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-a.alerting.woken:
		case <-tick.C:
		}
	}
}

func (a *Admin) runAlerts(ctx context.Context) {
	var err error
	last, now := a.alerting.last.Load(), a.now()
	if last == nil || now < last.at || now-last.at >= int64(a.AlertInterval/time.Second) {
		_, err = a.checkAlerts(ctx, alertsName)
	}
	if err == nil {
		err = a.deliverAlerts(ctx)
	}
	if err != nil && ctx.Err() == nil && a.isReady() {
		a.notices.Tell(slog.LevelError, "alerts", 1, "alerts could not be evaluated or noted; they are tried again", "error", err)
	}
}

// alertsName is who evaluates alerts, in the audit.
const alertsName = "alerts"

// AlertCheck is what an evaluation found newly met.
type AlertCheck struct {
	Message uint32         `json:"message,omitempty"` // that goes out; missing: nothing is new, or there is nobody to tell
	Alerts  []MetThreshold `json:"alerts"`
}

func (a *Admin) checkNow(w http.ResponseWriter, r *http.Request) error {
	answer, err := a.checkAlerts(r.Context(), callerOf(r).name)
	if err != nil {
		return err
	}
	a.alerting.wake()
	return writeJSON(w, http.StatusOK, answer)
}

// checkAlerts measures and evaluates. What is newly met becomes one message, in
// the same edit as the state that it is told: a restart neither repeats nor
// forgets it. As long as there is nobody to tell, nothing counts as told.
func (a *Admin) checkAlerts(ctx context.Context, who string) (AlertCheck, error) {
	a.alerting.checking.Lock()
	defer a.alerting.checking.Unlock()
	answer := AlertCheck{Alerts: []MetThreshold{}}
	catalog, err := a.catalog()
	if err != nil {
		return answer, err
	}
	settings, err := a.alertSettings(ctx)
	if err != nil {
		return answer, err
	}
	measures, err := a.alertMeasures(ctx, catalog)
	if err != nil {
		return answer, err
	}
	channels := settings.channels()
	var next alerts.State
	var fresh []alerts.Alert
	err = a.alerting.messages.edit(ctx, a, func(c *engine.Core, before []record[alertMessage]) error {
		was := alerts.State{}
		if data := c.Object(alertStateKey); data != nil {
			if err := json.Unmarshal(data, &was); err != nil {
				return fmt.Errorf("the state of alerts does not read: %w", err)
			}
		}
		next, fresh = alerts.Evaluate(settings.thresholds(), c.Now(), measures, was)
		if len(channels) == 0 {
			return nil
		}
		if err := putAlertState(c, was, next); err != nil || len(fresh) == 0 {
			return err
		}
		m := newAlertMessage(c.Now(), fresh, channels)
		if answer.Message, err = a.addMessage(c, before, m); err != nil {
			return err
		}
		return a.recordBy(c, who, "alerts.message", strconv.Itoa(int(answer.Message)), nil, m.view(answer.Message))
	})
	if err != nil {
		return answer, err
	}
	a.alerting.last.Store(&evaluation{a.now(), next.List()})
	for _, f := range fresh {
		answer.Alerts = append(answer.Alerts, MetThreshold{f.Rule, f.Subject, f.Threshold})
		about := []any{"rule", f.Rule, "subject", f.Subject, "threshold", f.Threshold}
		if f.Rule == alerts.Expiry {
			about = append(about, "expiry", time.Unix(f.Expiry, 0).UTC())
		} else {
			about = append(about, "value", f.Value, "of", f.Of)
		}
		a.notices.Tell(slog.LevelWarn, fmt.Sprint("alert ", f.Rule, f.Subject, f.Threshold), 1, "usage alert: a threshold is newly met; \"muster alerts show\" lists all that are", about...)
	}
	return answer, nil
}

func putAlertState(c *engine.Core, was, next alerts.State) error {
	before, err := json.Marshal(was)
	if err != nil {
		return err
	}
	after, err := json.Marshal(next)
	if err == nil && string(before) != string(after) {
		c.PutObject(alertStateKey, after)
	}
	return err
}

// alertMeasures are the numbers that alerts look at.
func (a *Admin) alertMeasures(ctx context.Context, catalog *engine.Catalog) (list []alerts.Measure, err error) {
	now := a.now()
	for _, item := range catalog.Items {
		if item != nil && !item.Removed && !item.Revoked && item.Product != "" {
			list = append(list, itemMeasures(item, now)...)
		}
	}
	for _, p := range catalog.Projects {
		if p == nil {
			continue
		}
		m, err := a.failures(ctx, p, now)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

// itemMeasures are an item's use, and its time [ALRT-1], [ALRT-2], [ALRT-3], [ALRT-5].
func itemMeasures(i *engine.Item, now int64) []alerts.Measure {
	suspended := i.License.Suspended != ""
	m := alerts.Measure{
		Subject: i.Name(), Title: i.Description, Of: i.Quota, Value: i.Usage.Held.Load(),
		Paused: suspended || now < i.Start || now >= i.End(),
	}
	switch i.ChargeWay {
	case license.DeviceYearly, license.DeviceQuarterly, license.DeviceMonthly, license.Server:
		m.Rule = alerts.Seats
	case license.DeviceDaily:
		m.Rule = alerts.DailySeats
	case license.Scan, license.Page:
		m.Rule, m.Value = alerts.Uses, i.Usage.Uses.Load()
	case license.ConcurrentDevice, license.ConcurrentInstance:
		m.Rule, m.Of, m.Value = alerts.Overuse, i.OveruseSlots(), i.Usage.Overuse.Load()
	}
	expiry := alerts.Measure{Rule: alerts.Expiry, Subject: i.Name(), Title: i.Description, Expiry: i.Expiry, End: i.End(), Paused: suspended}
	if m.Rule == "" { // domain: unlimited
		return []alerts.Measure{expiry}
	}
	return []alerts.Measure{m, expiry}
}

// failureHours is the time that failures are looked at: the present hour and the
// 23 before it [ALRT-4].
const failureHours = 24

// failures are a project's refused requests among all [ALRT-4].
func (a *Admin) failures(ctx context.Context, p *engine.Project, now int64) (alerts.Measure, error) {
	m := alerts.Measure{Rule: alerts.Failures, Subject: p.ID, Title: p.Name, Paused: p.Disabled}
	sum := func(measure engine.Measure) (total uint64, err error) {
		hour := engine.Hour.At(now)
		lines, err := a.series(ctx, span{measure: measure, grain: engine.Hour, scope: engine.Scope{Project: p.Ordinal}, first: hour - failureHours + 1, last: hour})
		for _, line := range lines {
			for _, n := range line.Values {
				total += n
			}
		}
		return total, err
	}
	var err error
	if m.Value, err = sum(engine.Denials); err != nil || m.Value == 0 {
		return m, err
	}
	granted, err := sum(engine.Authorizations)
	if err != nil {
		return m, err
	}
	m.Of = m.Value + granted
	m.Devices, err = a.devicesAsking(ctx, p, now)
	return m, err
}

// devicesAsking counts the distinct devices among the latest authorizations and
// denials of 24 hours, of which about 1,000 a day are kept.
func (a *Admin) devicesAsking(ctx context.Context, p *engine.Project, now int64) (uint64, error) {
	devices := map[[16]byte]struct{}{}
	err := a.edit(ctx, func(c *engine.Core) error {
		today := uint32(now / 86400)
		for _, kind := range []engine.RecordKind{engine.AuthorizationRecords, engine.DenialRecords} {
			for _, day := range []uint32{today - 1, today} {
				for _, r := range c.Records(kind, p.Ordinal, day) {
					if r.Time > now-86400 && r.UUID != [16]byte{} {
						devices[r.UUID] = struct{}{}
					}
				}
			}
		}
		return nil
	})
	return uint64(len(devices)), err
}

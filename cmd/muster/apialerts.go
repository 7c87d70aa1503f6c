package main

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"muster/admin"
	"muster/admin/alerts"
)

func (a *apiFlags) alertCommands() *cobra.Command {
	show := a.command("show", "Show which thresholds are met, and who is told how", cobra.NoArgs, func(s *session, _ []string) error {
		var v admin.Alerts
		if err := s.call(http.MethodGet, apiPath("alerts"), nil, &v); err != nil {
			return err
		}
		return s.show(func(t *table) { showAlerts(t, &v) })
	})
	check := a.command("check", "Evaluate all alerts now", cobra.NoArgs, func(s *session, _ []string) error {
		var v admin.AlertCheck
		if err := s.call(http.MethodPost, apiPath("alerts", "check"), nil, &v); err != nil {
			return err
		}
		return s.show(func(t *table) {
			switch {
			case len(v.Alerts) == 0:
				t.line("nothing is newly met")
				return
			case v.Message == 0:
				t.line("newly met, and nobody to tell: set a mail server (muster alerts mail) or a webhook (muster alerts webhook)")
			default:
				t.line("newly met, told with message %d (muster alerts log):", v.Message)
			}
			showMet(t, v.Alerts)
		})
	})
	return group("alerts", "Be told before users notice: thresholds, mail, webhooks, what was sent",
		show, check, a.testAlerts(), a.alertLog(), a.alertThresholds(), a.alertMail(), a.alertWebhook(), a.alertPortal())
}

func showAlerts(t *table, v *admin.Alerts) {
	t.row("evaluated", v.Evaluated)
	if v.Mail != nil {
		t.row("mail", fmt.Sprintf("%s to %s, through %s:%d (%s)", v.Mail.From, v.Mail.To, v.Mail.Host, v.Mail.Port, v.Mail.TLS))
	} else {
		t.row("mail", "")
	}
	if v.Webhook != nil {
		t.row("webhook", v.Webhook.URL)
	} else {
		t.row("webhook", "")
	}
	t.row("portal", v.Portal)
	th := &v.Thresholds
	for _, l := range []struct {
		name string
		list []uint64
	}{
		{"seats %", th.Seats}, {"daily seats %", th.DailySeats}, {"uses %", th.Uses}, {"overuse %", th.Overuse},
		{"failures %", th.Failures}, {"expiry days", th.ExpiryDays},
	} {
		t.row(l.name, strings.Trim(fmt.Sprint(l.list), "[]"))
	}
	t.row("failures from devices", th.FailureDevicesMin)
	t.line("")
	if len(v.Met) == 0 {
		t.line("no threshold is met")
		return
	}
	showMet(t, v.Met)
}

func showMet(t *table, list []admin.MetThreshold) {
	t.row("MET", "ITEM OR PROJECT", "THRESHOLD")
	for _, m := range list {
		unit := "%"
		if m.Rule == alerts.Expiry {
			unit = "days"
		}
		t.row(m.Rule, m.Subject, strconv.FormatUint(m.Threshold, 10)+" "+unit)
	}
}

// undelivered makes a test that did not arrive everywhere fail.
func undelivered(m *admin.AlertMessage) error {
	for _, d := range m.Deliveries {
		if d.State != "delivered" {
			return fmt.Errorf("the test by %s did not arrive: %s", d.Channel, d.Error)
		}
	}
	return nil
}

func (a *apiFlags) testAlerts() *cobra.Command {
	return a.command("test", "Send a test message by mail and webhook", cobra.NoArgs, func(s *session, _ []string) error {
		var m admin.AlertMessage
		if err := s.call(http.MethodPost, apiPath("alerts", "test"), nil, &m); err != nil {
			return err
		}
		err := s.show(func(t *table) {
			for _, d := range m.Deliveries {
				t.row(d.Channel, d.State)
			}
		})
		return cmp.Or(err, undelivered(&m))
	})
}

func (a *apiFlags) alertLog() *cobra.Command {
	return a.command("log", "List the messages with their deliveries, newest first", cobra.NoArgs, func(s *session, _ []string) error {
		var list admin.AlertMessageList
		if err := s.call(http.MethodGet, apiPath("alerts", "messages"), nil, &list); err != nil {
			return err
		}
		return s.show(func(t *table) {
			t.row("MESSAGE", "TIME", "CHANNEL", "STATE", "TRIES", "NEXT", "WHAT")
			for _, m := range list.Messages {
				for _, d := range m.Deliveries {
					t.row(m.Number, m.Time, d.Channel, d.State, d.Attempts, d.Next, cmp.Or(d.Error, messageText(&m)))
				}
			}
		})
	})
}

// messageText is a message in a line.
func messageText(m *admin.AlertMessage) string {
	switch n := len(m.Alerts) + m.More; n {
	case 0:
		return "test"
	case 1:
		return m.Alerts[0].Text
	default:
		return fmt.Sprintf("%s, and %d more", m.Alerts[0].Text, n-1)
	}
}

func (a *apiFlags) alertThresholds() *cobra.Command {
	in := admin.AlertThresholds{}
	var seats, daily, uses, overuse, failures, expiry []uint
	cmd := a.command("thresholds", "Set thresholds: lists such as 60,80,100; what is not given stays", cobra.NoArgs, func(s *session, _ []string) error {
		var now admin.Alerts
		if err := s.call(http.MethodGet, apiPath("alerts"), nil, &now); err != nil {
			return err
		}
		devices := in.FailureDevicesMin
		in = now.Thresholds
		f := s.cmd.Flags()
		for name, to := range map[string]struct {
			list *[]uint64
			from []uint
		}{
			"seats": {&in.Seats, seats}, "daily-seats": {&in.DailySeats, daily}, "uses": {&in.Uses, uses},
			"overuse": {&in.Overuse, overuse}, "failures": {&in.Failures, failures}, "expiry": {&in.ExpiryDays, expiry},
		} {
			if f.Changed(name) {
				*to.list = []uint64{}
				for _, v := range to.from {
					*to.list = append(*to.list, uint64(v))
				}
			}
		}
		if f.Changed("failure-devices") {
			in.FailureDevicesMin = devices
		}
		if err := s.call(http.MethodPut, apiPath("alerts", "thresholds"), &in, nil); err != nil {
			return err
		}
		return s.show(func(t *table) { t.line("the thresholds are set; see \"muster alerts show\"") })
	})
	f := cmd.Flags()
	f.UintSliceVar(&seats, "seats", nil, "percent of the quota of device and server items")
	f.UintSliceVar(&daily, "daily-seats", nil, "the same of device-daily items")
	f.UintSliceVar(&uses, "uses", nil, "percent of the quota of scan and page items")
	f.UintSliceVar(&overuse, "overuse", nil, "percent of the overuse budget of concurrent items")
	f.UintSliceVar(&failures, "failures", nil, "percent of a project's requests in 24 hours that were refused")
	f.Uint64Var(&in.FailureDevicesMin, "failure-devices", 0, "from how many distinct devices on")
	f.UintSliceVar(&expiry, "expiry", nil, "days before an item expires; 0: when it does")
	return cmd
}

func (a *apiFlags) alertMail() *cobra.Command {
	var in admin.NewAlertMail
	var tls, passwordFile string
	var trust trustFlags
	set := a.command("set", "Set through which server and to whom mails go", cobra.NoArgs, func(s *session, _ []string) (err error) {
		in.TLS = alerts.TLSMode(tls)
		if in.Trust, err = trust.read(s); err != nil {
			return err
		}
		if in.Password, err = s.readSecret(passwordFile); err != nil {
			return err
		}
		if err := s.call(http.MethodPut, apiPath("alerts", "mail"), &in, nil); err != nil {
			return err
		}
		return s.show(func(t *table) { t.line("mails go to %s; next: muster alerts test", in.To) })
	})
	f := set.Flags()
	f.StringVar(&in.Host, "host", "", "mail server, a name or an IP address")
	f.IntVar(&in.Port, "port", 0, "its port (default: 587 for starttls, 465 for tls, 25 for none)")
	f.StringVar(&tls, "tls", "starttls", "starttls, tls or none")
	f.StringVar(&in.From, "from", "", "sender's address")
	f.StringVar(&in.To, "to", "", "addresses of recipients, separated by \";\"")
	f.StringVar(&in.CC, "cc", "", "of those who get a copy")
	f.StringVar(&in.BCC, "bcc", "", "of those who get one that the others don't see")
	f.StringVar(&in.User, "user", "", "name to log in with (default: no login)")
	f.StringVar(&passwordFile, "password-file", "", "file with the password, - for the standard input (default: the one that is set stays)")
	trust.add(f)
	return group("mail", "Set or remove the mail server", set, a.removeAlertChannel("mail"))
}

func (a *apiFlags) alertWebhook() *cobra.Command {
	var in admin.NewAlertWebhook
	var secretFile string
	var trust trustFlags
	set := a.command("set URL", "Set where webhooks go", cobra.ExactArgs(1), func(s *session, args []string) (err error) {
		in.URL = args[0]
		if in.Trust, err = trust.read(s); err != nil {
			return err
		}
		if in.Secret, err = s.readSecret(secretFile); err != nil {
			return err
		}
		if err := s.call(http.MethodPut, apiPath("alerts", "webhook"), &in, nil); err != nil {
			return err
		}
		return s.show(func(t *table) { t.line("webhooks go to %s; next: muster alerts test", in.URL) })
	})
	set.Flags().StringVar(&secretFile, "secret-file", "", "file with the secret that signs them, - for the standard input (default: the one that is set stays)")
	trust.add(set.Flags())
	return group("webhook", "Set or remove the webhook", set, a.removeAlertChannel("webhook"))
}

func (a *apiFlags) removeAlertChannel(channel string) *cobra.Command {
	return a.command("remove", "Send none any more", cobra.NoArgs, func(s *session, _ []string) error {
		if err := s.call(http.MethodDelete, apiPath("alerts", channel), nil, nil); err != nil {
			return err
		}
		fmt.Fprintf(s.notice, "nobody is told by %s any more\n", channel)
		return nil
	})
}

func (a *apiFlags) alertPortal() *cobra.Command {
	return a.command("portal URL", "Set the portal's address for links in messages; \"\" for the server's own", cobra.ExactArgs(1), func(s *session, args []string) error {
		var v admin.AlertPortal
		if err := s.call(http.MethodPut, apiPath("alerts", "portal"), &admin.AlertPortal{URL: args[0]}, &v); err != nil {
			return err
		}
		return s.show(func(t *table) { t.line("links in messages lead to %s", v.URL) })
	})
}

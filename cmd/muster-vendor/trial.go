package main

import (
	"fmt"
	"slices"
	"strconv"

	"muster/license"

	"github.com/spf13/cobra"
)

const dayInSeconds = 24 * 60 * 60

func (p *program) trial() *cobra.Command {
	var s signing
	var uuids []string
	c := &cobra.Command{
		Use:   "trial --key FILE --organization ID --product CODE",
		Short: fmt.Sprintf("Issue a trial of %d days, activated at once when --uuid is given", license.TrialDays),
		Long: fmt.Sprintf(`trial issues a license of %d days and a quota of at most %d, without grace. It can be extended once, by %d days.`,
			license.TrialDays, license.TrialQuotaMax, license.TrialExtensionDays),
		Args: cobra.NoArgs,
	}
	c.RunE = p.operation(func([]string) error {
		return p.makeTrial(s, givenFields(c, headerFlags), givenFields(c, itemFlags), uuids)
	})
	s.addFlags(c)
	addFieldFlags(c, headerFlags)
	addFieldFlags(c, trialFlags())
	c.Flags().StringArrayVar(&uuids, "uuid", nil, "activate the trial for this server (repeatable, up to 5)")
	c.AddCommand(p.extendTrial())
	return c
}

// trialFlags is the item flags but for those whose answer makes a trial.
func trialFlags() []fieldFlag {
	flags := slices.DeleteFunc(slices.Clone(itemFlags), func(f fieldFlag) bool { return f.field == "Expiry" || f.field == "Grace" })
	for i := range flags {
		switch flags[i].field {
		case "ItemId":
			flags[i].usage = "item id (default: trial)"
		case "ChargeWay":
			flags[i].usage += " (default: device-monthly)"
		case "Quota":
			flags[i].usage += fmt.Sprintf(" (default: %d)", license.TrialQuotaMax)
		}
	}
	return flags
}

func (p *program) makeTrial(s signing, header, item []license.Field, uuids []string) error {
	at, err := clock(s.at)
	if err != nil {
		return err
	}
	servers, err := uuidFlags(uuids)
	if err != nil {
		return err
	}
	item = withDefault(item, "ItemId", "trial")
	item = withDefault(item, "ChargeWay", license.DeviceMonthly.String())
	item = withDefault(item, "Quota", strconv.Itoa(license.TrialQuotaMax))
	item = withDefault(item, "Start", license.FormatTime(at))
	start := at
	for _, f := range item {
		if f.Name == "Start" {
			if start, err = timeFlag("start", f.Value, false); err != nil {
				return err
			}
		}
	}
	item = withDefault(item, "Expiry", license.FormatTime(start+license.TrialDays*dayInSeconds))
	item = withDefault(item, "Grace", "0s")
	header = withDefault(header, "Trial", license.TrialFirst.String())
	f, err := newDraft(header, [][]license.Field{item}, at)
	if err != nil {
		return fmt.Errorf("nothing was written, since the trial has faults:\n%w", err)
	}
	next := "activate it for the server UUID that the customer sends."
	if len(servers) > 0 {
		if f, err = license.Activate(f, servers, at); err != nil {
			return err
		}
		next = "send it to the customer, who imports it in the portal of the server."
	}
	key, err := p.readKey(s)
	if err != nil {
		return err
	}
	return p.issue(s, key, f, trialSummary(f), next)
}

func trialSummary(f *license.File) string {
	return fmt.Sprintf("trial %s, revision %d, until %s", f.LicenseID, f.Revision, license.FormatTime(f.Items[0].Expiry))
}

func (p *program) extendTrial() *cobra.Command {
	var s signing
	c := &cobra.Command{
		Use:   "extend --key FILE IN",
		Short: fmt.Sprintf("Make the revision of a trial that lasts %d days longer; once only", license.TrialExtensionDays),
		Args:  cobra.ExactArgs(1),
		RunE: p.operation(func(args []string) error {
			at, err := clock(s.at)
			if err != nil {
				return err
			}
			key, f, err := p.readSigned(s, args[0])
			if err != nil {
				return err
			}
			next, err := license.ExtendTrial(f, at)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return p.issue(s, key, next, trialSummary(next), nextAfterRevision(next))
		}),
	}
	s.addFlags(c)
	s.addTrustFlag(c)
	return c
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"muster/bench"
	"muster/client"
	"muster/license"
)

func demoCommand() *cobra.Command {
	d := demo{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a server, a license and simulated devices, and compare what both sides count",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.out, d.err = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return d.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.IntVar(&d.devices, "devices", 2000, "simulated devices")
	f.Float64Var(&d.rate, "rate", 20_000, "check-ins and reports a second, in all")
	f.DurationVar(&d.duration, "duration", 0, "how long; 0 until Ctrl-C")
	f.StringVar(&d.dir, "dir", "", "where to keep the server's data; empty: a temporary directory that is removed at the end")
	return cmd
}

// demo is one run of the demo.
type demo struct {
	devices  int
	rate     float64
	duration time.Duration
	dir      string
	out, err io.Writer
}

const (
	demoProduct = "DemoReader"
	demoConns   = 20
)

// demoItems is the demo's license: seats for half of the devices, scans for the
// others.
func (d *demo) items() [][]license.Field {
	item := func(id, way, quota string) []license.Field {
		return []license.Field{
			{Name: "ItemId", Value: id}, {Name: "Product", Value: demoProduct}, {Name: "Modules", Value: "1D, QR"},
			{Name: "ChargeWay", Value: way}, {Name: "Quota", Value: quota},
			{Name: "Start", Value: time.Now().AddDate(0, 0, -1).Format(time.DateOnly)},
			{Name: "Expiry", Value: time.Now().AddDate(1, 0, 0).Format(time.DateOnly)},
		}
	}
	return [][]license.Field{
		item("seats", "device-monthly", strconv.Itoa(d.devices)),
		item("scans", "scan", "1000000000"),
	}
}

func (d *demo) load() bench.Load {
	use := client.Use{Product: demoProduct, Version: 1, Deployment: "desktop"}
	seats, scans := use, use
	seats.ChargeWay, scans.ChargeWay = license.DeviceMonthly, license.Scan
	conns := min(demoConns, d.devices)
	return bench.Load{
		Devices: d.devices, Conns: conns, PerRecord: 1, Mix: bench.Renewing(8),
		Uses: []client.Use{seats, scans}, Module: "QR",
	}
}

func (d *demo) run(ctx context.Context) error {
	if d.devices < 1 || d.rate <= 0 {
		return codedError{errors.New("--devices and --rate must be above 0"), exitUsage}
	}
	if d.dir == "" {
		dir, err := os.MkdirTemp("", "muster-demo-")
		if err != nil {
			return err
		}
		d.dir = dir
		defer func() {
			if dir != "" && d.dir != "" {
				os.RemoveAll(dir)
			}
		}()
	} else if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	server, err := bench.StartServer(ctx, bench.ServerOptions{Binary: self, Dir: d.dir, CPU: -1, Stderr: d.err, Items: d.items()})
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "server UUID   %s\nadmin API     %s\nlicense key   %s\ndata          %s\nprocess       %d\n\n", server.UUID, server.URL, server.Key, server.DataDir(), server.PID())
	fleet, err := d.drive(ctx, server)
	if err != nil {
		d.broken(server, fleet, err)
		return fmt.Errorf("the devices lost the server: %w", err)
	}
	equal, err := d.compare(fleet, server)
	if err == nil {
		err = server.Stop(10 * time.Second)
	}
	if err == nil && !equal {
		err = errors.New("the server counts something else than it told the devices")
	}
	return err
}

// drive runs the fleet with a live line of progress.
func (d *demo) drive(ctx context.Context, server *bench.Server) (*bench.Fleet, error) {
	fleet, err := bench.NewFleet(ctx, server.Key, d.load())
	if err != nil {
		return nil, err
	}
	if d.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.duration)
		defer cancel()
	}
	ended := make(chan error, 1)
	go func() {
		err := fleet.CheckIn(ctx)
		if err == nil {
			err = fleet.RunAt(ctx, d.rate)
		}
		ended <- err
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	began, last, before := time.Now(), time.Now(), uint64(0)
	for {
		select {
		case err := <-ended:
			fmt.Fprintln(d.out)
			return fleet, err
		case now := <-tick.C:
			if ctx.Err() != nil {
				continue // the last answers are on their way
			}
			total := fleet.Told.Granted.Load() + fleet.Told.Reports.Load() + fleet.Told.Refused.Load()
			d.line(ctx, server, fleet, now.Sub(began), float64(total-before)/now.Sub(last).Seconds())
			last, before = now, total
		}
	}
}

// line prints one line of progress over the one before.
func (d *demo) line(ctx context.Context, server *bench.Server, fleet *bench.Fleet, elapsed time.Duration, rate float64) {
	_, q := fleet.Latency().Quantiles(50, 99)
	var seats, scans uint64
	items, err := server.Counts(ctx)
	if err != nil {
		return // stopping; the fleet notices by itself if the server is gone
	}
	for _, i := range items {
		seats, scans = seats+i.Usage.Held, scans+i.Usage.Uses
	}
	fmt.Fprintf(d.out, "\r%4.0fs  %7.0f requests/s   p50 %-8v p99 %-8v   %d seats held, %d scans counted   ",
		elapsed.Seconds(), rate, q[0].Round(10*time.Microsecond), q[1].Round(10*time.Microsecond), seats, scans)
}

// compare sets what the devices were told beside what the server counts.
func (d *demo) compare(fleet *bench.Fleet, server *bench.Server) (equal bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	counted, err := server.Counts(ctx)
	if err != nil {
		return false, err
	}
	told := fleet.Told.Items()
	fmt.Fprintf(d.out, "\n%-16s %-15s %15s %15s\n", "item", "", "devices told", "server counts")
	equal = true
	row := func(item, what string, told, counted uint64) {
		mark := ""
		if told != counted {
			mark, equal = "   differs", false
		}
		fmt.Fprintf(d.out, "%-16s %-15s %15d %15d%s\n", item, what, told, counted, mark)
	}
	for _, c := range counted {
		t := told[c.Name]
		row(c.Name, "check-ins", t.Granted, c.Usage.Authorizations)
		row("", "seats", t.Seats, c.Usage.Held)
		row("", "scans", t.Uses, c.Usage.Uses)
	}
	if n := fleet.Told.Other.Load(); n > 0 {
		fmt.Fprintf(d.out, "%d answers were out of order\n", n)
		equal = false
	}
	if equal {
		fmt.Fprintln(d.out, "\nboth sides agree to the last scan")
	}
	return equal, nil
}

// broken says what is known when the server went away, and keeps its data.
func (d *demo) broken(server *bench.Server, fleet *bench.Fleet, cause error) {
	if fleet != nil {
		for name, t := range fleet.Told.Items() {
			fmt.Fprintf(d.out, "acknowledged before: %-16s %d check-ins, %d scans\n", name, t.Granted, t.Uses)
		}
	}
	muster := os.Args[0]
	fmt.Fprintf(d.out, "start the server again on the same data, and in a second shell see that all of it is there:\n"+
		"  %s serve --data %s --vendor-key %s --binding key --listen 127.0.0.1:0 --admin 127.0.0.1:0\n  %s item list --data %s\n",
		muster, server.DataDir(), server.VendorKey(), muster, server.DataDir())
	d.dir = "" // keeps the directory
	select {
	case <-server.Ended():
	default:
		server.Kill()
	}
}

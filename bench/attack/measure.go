package attack

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"muster/bench"
	"muster/client"
	"muster/license"
	"muster/protocol"
)

// Run is a measurement of all attacks.
type Run struct {
	Muster string // the muster program
	Self   string // this program: it runs an attacker as "SELF attacker NAME"
	Dir    string // where the server keeps its data
	Rounds int
	Time   time.Duration // of one measurement, quiet or under attack
	Only   string        // only attacks whose name has it in it
	Out    io.Writer
}

const (
	serverCPU = 0
	loadCPU   = 1
	// openFiles is the server's limit of open files: attackers can reach it.
	openFiles = 12_000
	product   = "Bench"
	// honestRate is what each fleet of honest devices sends in a second.
	honestRate = 1000
)

// Prepare makes the network and runs this program again in the namespace of the
// devices, with the names of the other two at the end of its arguments.
func Prepare(ctx context.Context, self string, args []string) error {
	n, err := newNetwork()
	if err != nil {
		return err
	}
	defer n.Close()
	words := slices.Concat(inside(n.devices), []string{self}, args, []string{n.server, n.attackers})
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(os.Interrupt) })
	defer stop()
	return cmd.Wait()
}

// site is the server and its honest devices.
type site struct {
	*Run
	server    *bench.Server
	attackers string // their namespace
	bystander string // address of a bare echo on the server's CPU
	tcp, udp  *bench.Fleet
	key       license.LicenseKey
	uses      uint64 // that the attackers' devices reported
}

// wants says whether an attack is to be carried out.
func (r *Run) wants(a attack) bool { return strings.Contains(a.name, r.Only) }

// In measures in the namespace of the devices.
func (r *Run) In(ctx context.Context, serverNamespace, attackers string) error {
	if !slices.ContainsFunc(attacks, r.wants) {
		var names []string
		for _, a := range attacks {
			names = append(names, a.name)
		}
		return fmt.Errorf("no attack has %q in its name: there are %s", r.Only, strings.Join(names, ", "))
	}
	if err := bench.PinSelf(loadCPU); err != nil {
		return err
	}
	now := time.Now()
	server, err := bench.StartServer(ctx, bench.ServerOptions{
		Binary: r.Muster, Dir: r.Dir, CPU: serverCPU, Stderr: os.Stderr, Host: "10.98.0.1",
		Under: append(inside(serverNamespace), "sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$@"`, openFiles), "sh"),
		Args:  []string{"--log-level", "error"},
		Items: [][]license.Field{{
			{Name: "ItemId", Value: "seats"}, {Name: "Product", Value: product}, {Name: "Modules", Value: "QR"},
			{Name: "ChargeWay", Value: "device-daily"}, {Name: "Quota", Value: "1000000000"},
			{Name: "Start", Value: now.AddDate(0, 0, -1).Format(time.DateOnly)}, {Name: "Expiry", Value: now.AddDate(1, 0, 0).Format(time.DateOnly)},
		}},
	})
	if err != nil {
		return err
	}
	defer server.Kill()
	// What attackers cost is not all muster's: the kernel and an event loop take
	// their part. So the same traffic goes to an echo that does nothing else.
	echo, bystander, err := bench.StartReady(serverCPU, append(inside(serverNamespace), r.Self, "echo", "1", "1", "10.98.0.1")...)
	if err != nil {
		return err
	}
	defer echo.Kill()
	s := &site{Run: r, server: server, attackers: attackers, bystander: bystander}
	if s.key, err = license.ParseLicenseKey(server.Key); err != nil {
		return err
	}
	load := bench.Load{Devices: 2000, Conns: 40, PerRecord: 1, Mix: bench.Renewing(10), Uses: []client.Use{{Product: product, Version: 1}}, Module: "QR"}
	if s.tcp, err = bench.NewFleet(ctx, server.Key, load); err != nil {
		return err
	}
	defer s.tcp.Close()
	load.UDP = true
	if s.udp, err = bench.NewFleet(ctx, server.Key, load); err != nil {
		return err
	}
	defer s.udp.Close()
	for _, f := range []*bench.Fleet{s.tcp, s.udp} {
		if err := f.CheckIn(ctx); err != nil {
			return err
		}
		f.Latency()
	}
	return s.all(ctx)
}

// all carries the attacks out, each in turn with quiet, and prints what the
// honest devices noticed. It fails when one of them was not served, when a count
// is wrong, or when the server ended.
func (s *site) all(ctx context.Context) error {
	w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "medians of %d\tTCP p99\tunder attack\t\tbeside\tUDP p99\tunder attack\t\tbeside\tnewcomer\tunder attack\tserver CPU\tunder attack\tmemory\t\n", s.Rounds)
	for i := range attacks {
		a := &attacks[i]
		if !s.wants(*a) {
			continue
		}
		var quiet, hostile, beside []sample
		var report Report
		for range s.Rounds {
			q, err := s.measure(ctx)
			if err != nil {
				return err
			}
			h, did, err := s.under(ctx, a, s.key.Addresses[0].HostPort)
			if err != nil {
				return fmt.Errorf("%s: %w", a.name, err)
			}
			b, elsewhere, err := s.under(ctx, a, s.bystander)
			if err != nil {
				return fmt.Errorf("%s, beside the server: %w", a.name, err)
			}
			quiet, hostile, beside = append(quiet, q), append(hostile, h), append(beside, b)
			report.Did, report.Failed = report.Did+did.Did, report.Failed+did.Failed
			s.uses += did.Uses + elsewhere.Uses
		}
		row := func(figure func(*sample) time.Duration) (q, h time.Duration, hostileRatio, besideRatio float64) {
			q, h = median(quiet, figure), median(hostile, figure)
			return q, h, float64(h) / float64(q), float64(median(beside, figure)) / float64(q)
		}
		tq, th, tr, tb := row(func(s *sample) time.Duration { return s.tcp })
		uq, uh, ur, ub := row(func(s *sample) time.Duration { return s.udp })
		nq, nh, _, _ := row(func(s *sample) time.Duration { return s.newcomer })
		cq, ch, _, _ := row(func(s *sample) time.Duration { return s.cpu })
		fmt.Fprintf(w, "%s\t%v\t%v\t%.2f ×\t%.2f ×\t%v\t%v\t%.2f ×\t%.2f ×\t%v\t%v\t%.0f %%\t%.0f %%\t%d MiB\t\n", a.name,
			tq, th, tr, tb, uq, uh, ur, ub, nq, nh, 100*cq.Seconds(), 100*ch.Seconds(), hostile[len(hostile)-1].memory>>20)
		fmt.Fprintf(os.Stderr, "%s (%s): %d done, %d failed%s\n", a.name, a.does, report.Did, report.Failed, counted(hostile))
	}
	w.Flush()
	return s.audit(ctx)
}

// sample is what was measured in one stretch of time.
type sample struct {
	tcp, udp time.Duration // p99 of honest devices
	newcomer time.Duration // median of first contacts: connection, handshake, first answer
	cpu      time.Duration // of the server, a second
	memory   int64         // of the server, bytes
	counted  map[string]float64
}

// measure lets the honest devices work for a while.
func (s *site) measure(ctx context.Context) (m sample, err error) {
	before, err := s.server.Metrics(ctx)
	if err != nil {
		return m, err
	}
	run, cancel := context.WithTimeout(ctx, s.Time)
	defer cancel()
	cpu, began := s.server.CPU(), time.Now()
	var wg sync.WaitGroup
	faults := make([]error, 3)
	for i, f := range []*bench.Fleet{s.tcp, s.udp} {
		wg.Go(func() { faults[i] = f.RunAt(run, honestRate) })
	}
	wg.Go(func() { m.newcomer, faults[2] = s.newcomers(run) })
	wg.Wait()
	if err := errors.Join(faults...); err != nil {
		return m, fmt.Errorf("honest devices: %w", err)
	}
	m.cpu = time.Duration(float64(s.server.CPU()-cpu) / time.Since(began).Seconds())
	_, q := s.tcp.Latency().Quantiles(99)
	_, u := s.udp.Latency().Quantiles(99)
	m.tcp, m.udp, m.memory = q[0], u[0], s.server.RSS()
	m.counted, err = s.server.Metrics(ctx)
	for name, value := range before {
		m.counted[name] -= value
	}
	return m, err
}

// newcomers make first contact, ten a second, until ctx ends.
func (s *site) newcomers(ctx context.Context) (time.Duration, error) {
	h := bench.NewHistogram()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			_, q := h.Quantiles(50)
			return q[0], nil
		case <-tick.C:
		}
		began := time.Now()
		conn, err := client.Dial(context.WithoutCancel(ctx), s.key, newUUID(), client.Ticket{})
		if err != nil {
			return 0, fmt.Errorf("newcomer: %w", err)
		}
		err = conn.Write(&protocol.Request{Kind: protocol.KindPing, ID: 1})
		if err == nil {
			err = conn.Read(func(*protocol.Answer) {})
		}
		conn.Close()
		if err != nil {
			return 0, fmt.Errorf("newcomer: %w", err)
		}
		h.Observe(time.Since(began), 1)
	}
}

// under measures while an attack on target goes on.
func (s *site) under(ctx context.Context, a *attack, target string) (m sample, report Report, err error) {
	words := append(inside(s.attackers), "nice", "-n", "10", s.Self, "attacker", a.name)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return m, report, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return m, report, err
	}
	if err := cmd.Start(); err != nil {
		return m, report, err
	}
	lines := bufio.NewReader(out)
	fmt.Fprintln(in, s.server.Key, target)
	if line, err := lines.ReadString('\n'); line != "ready\n" {
		return m, report, errors.Join(fmt.Errorf("the attacker did not begin: %w", err), cmd.Wait())
	}
	m, err = s.measure(ctx)
	in.Close()
	told := json.NewDecoder(lines).Decode(&report)
	return m, report, errors.Join(err, told, cmd.Wait())
}

// audit holds what the server counted against what it acknowledged.
func (s *site) audit(ctx context.Context) error {
	counts, err := s.server.Counts(ctx)
	if err != nil {
		return err
	}
	told, counted := s.tcp.Told.Reports.Load()+s.udp.Told.Reports.Load()+s.uses, counts[0].Usage.Uses
	others := s.tcp.Told.Other.Load() + s.udp.Told.Other.Load() + s.tcp.Told.Refused.Load() + s.udp.Told.Refused.Load()
	fmt.Fprintf(s.Out, "\nhonest devices were answered %d times, %d of it refusals or faults; %d uses acknowledged, %d counted\n",
		told+s.tcp.Told.Granted.Load()+s.udp.Told.Granted.Load(), others, told, counted)
	if told != counted || others != 0 {
		return errors.New("the attacks changed what is counted or who is served")
	}
	return s.server.Stop(20 * time.Second)
}

// median is the median of a figure.
func median(samples []sample, figure func(*sample) time.Duration) time.Duration {
	values := make([]time.Duration, len(samples))
	for i := range samples {
		values[i] = figure(&samples[i])
	}
	slices.Sort(values)
	return values[len(values)/2].Round(10 * time.Microsecond)
}

// counted lists what the server's counters of hostile traffic say.
func counted(samples []sample) (text string) {
	for _, name := range []string{
		"muster_connections_refused_total", "muster_connections_limited_total", "muster_connections_overdue_total", "muster_connections_slow_total",
		"muster_handshakes_total", "muster_busy_total", "muster_records_malformed_total", "muster_records_unsealed_total", "muster_tickets_unknown_total",
		"muster_datagrams_malformed_total", "muster_datagrams_stranger_total", "muster_datagrams_unsealed_total", "muster_datagrams_limited_total", "muster_panics_total",
	} {
		sum := 0.0
		for i := range samples {
			sum += samples[i].counted[name]
		}
		if sum > 0 {
			text += fmt.Sprintf(", %s %.0f", strings.TrimSuffix(strings.TrimPrefix(name, "muster_"), "_total"), sum)
		}
	}
	return text
}

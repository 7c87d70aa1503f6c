package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"muster/internal/build"
)

// Report is what a run has measured, as --json writes it.
type Report struct {
	Command  string     `json:"command"` // of muster-bench
	Began    time.Time  `json:"began"`
	Version  string     `json:"version"` // of muster-bench
	Commit   string     `json:"commit"`
	Go       string     `json:"go"`
	Machine  Machine    `json:"machine"`
	Settings any        `json:"settings"`
	Measures []*Measure `json:"measures"`
	Notes    []string   `json:"notes,omitempty"` // what follows from them
	// Series is the course of a load.
	Series []Interval `json:"series,omitempty"`
	Audit  *Audit     `json:"audit,omitempty"`
}

// NewReport begins a report.
func NewReport(command string, settings any) *Report {
	return &Report{
		Command: command, Began: time.Now().UTC(), Version: build.Version(), Commit: build.Commit(), Go: runtime.Version(),
		Machine: thisMachine(), Settings: settings,
	}
}

// Measure is what was measured of one thing, once or in several rounds.
type Measure struct {
	Name   string    `json:"name"`
	Rounds []Figures `json:"rounds"`
}

// Figures are those of one round.
type Figures struct {
	Requests uint64  `json:"requests"` // answered
	Seconds  float64 `json:"seconds"`
	// CPUSeconds is what the server spent, Memory what it held, in bytes: of
	// a fleet's load the median of one look a second, else at the end; 0: not known.
	CPUSeconds float64 `json:"cpuSeconds,omitempty"`
	Memory     int64   `json:"memory,omitempty"`
	Latency    Latency `json:"latency"`
	// Of the requests: answered otherwise than asked for, by code; beside them:
	// answers that asked to come back later, requests never sent.
	Refused map[string]uint64 `json:"refused,omitempty"`
	Busy    uint64            `json:"busy,omitempty"`
	Missed  uint64            `json:"missed,omitempty"`
	Other   uint64            `json:"other,omitempty"`
}

// Latency is how long answers took, in microseconds. Of a load on schedule it
// counts from the scheduled moment, of another from when the request was sent.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

func (h *Histogram) summary() Latency {
	_, q := h.Quantiles(50, 90, 99, 99.9, 100)
	return Latency{us(q[0]), us(q[1]), us(q[2]), us(q[3]), us(q[4])}
}

// Rate is answers per second.
func (f *Figures) Rate() float64 { return float64(f.Requests) / f.Seconds }

// PerRequest is the server's CPU time for one answer, in microseconds.
func (f *Figures) PerRequest() float64 { return 1e6 * f.CPUSeconds / float64(max(f.Requests, 1)) }

// Median is the median over the rounds of a figure.
func (m *Measure) Median(of func(*Figures) float64) float64 {
	values := make([]float64, len(m.Rounds))
	for i := range m.Rounds {
		values[i] = of(&m.Rounds[i])
	}
	return median(values)
}

// median sorts values and returns the middle one; 0 if there is none.
func median[T cmp.Ordered](values []T) (middle T) {
	slices.Sort(values)
	if len(values) > 0 {
		middle = values[len(values)/2]
	}
	return middle
}

// Ratio is the median over the rounds of a figure against another measure's of
// the same round.
func Ratio(a, b *Measure, of func(*Figures) float64) float64 {
	ratios := make([]float64, min(len(a.Rounds), len(b.Rounds)))
	for i := range ratios {
		ratios[i] = of(&a.Rounds[i]) / of(&b.Rounds[i])
	}
	return median(ratios)
}

// measure returns the measure of a name, nil if there is none.
func (r *Report) measure(name string) *Measure {
	for _, m := range r.Measures {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// add notes a round's figures.
func (r *Report) add(name string, f Figures) {
	m := r.measure(name)
	if m == nil {
		m = &Measure{Name: name}
		r.Measures = append(r.Measures, m)
	}
	m.Rounds = append(m.Rounds, f)
}

// note adds a line below the table.
func (r *Report) note(format string, a ...any) { r.Notes = append(r.Notes, fmt.Sprintf(format, a...)) }

// columns are what a table shows of a measure.
var columns = []struct {
	name string
	of   func(*Figures) float64
	show func(float64) string
}{
	{"rate", (*Figures).Rate, func(v float64) string { return fmt.Sprintf("%.0f/s", v) }},
	{"server CPU each", (*Figures).PerRequest, func(v float64) string { return fmt.Sprintf("%.3f µs", v) }},
	{"p50", func(f *Figures) float64 { return f.Latency.P50 }, showMicros},
	{"p90", func(f *Figures) float64 { return f.Latency.P90 }, showMicros},
	{"p99", func(f *Figures) float64 { return f.Latency.P99 }, showMicros},
	{"p99.9", func(f *Figures) float64 { return f.Latency.P999 }, showMicros},
	{"max", func(f *Figures) float64 { return f.Latency.Max }, showMicros},
	{"memory", func(f *Figures) float64 { return float64(f.Memory) }, func(v float64) string { return fmt.Sprintf("%.0f MiB", v/(1<<20)) }},
}

// showMicros writes a time given in microseconds, with three digits.
func showMicros(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2f s", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.1f ms", v/1e3)
	case v >= 1e3:
		return fmt.Sprintf("%.2f ms", v/1e3)
	}
	return fmt.Sprintf("%.3g µs", v)
}

// show is a median as a table shows it; what is not known is left out.
func show(m *Measure, of func(*Figures) float64, text func(float64) string) string {
	if v := m.Median(of); v != 0 {
		return text(v)
	}
	return ""
}

// Print writes the medians as a table, and what follows from them.
func (r *Report) Print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	rounds := 0
	for _, m := range r.Measures {
		rounds = max(rounds, len(m.Rounds))
	}
	if rounds > 1 {
		fmt.Fprintf(w, "medians of %d", rounds)
	}
	for _, c := range columns {
		fmt.Fprintf(w, "\t%s", c.name)
	}
	fmt.Fprintln(w, "\t")
	for _, m := range r.Measures {
		fmt.Fprint(w, m.Name)
		for _, c := range columns {
			fmt.Fprintf(w, "\t%s", show(m, c.of, c.show))
		}
		fmt.Fprintln(w, "\t")
	}
	w.Flush()
	for _, m := range r.Measures {
		if text := m.troubles(); text != "" {
			fmt.Fprintf(out, "%s: %s\n", m.Name, text)
		}
	}
	for _, n := range r.Notes {
		fmt.Fprintln(out, n)
	}
}

// troubles lists what was not answered as asked for in all rounds, "" if there is
// nothing.
func (m *Measure) troubles() (text string) {
	f := Figures{Refused: map[string]uint64{}}
	for i := range m.Rounds {
		of := &m.Rounds[i]
		f.Busy, f.Missed, f.Other = f.Busy+of.Busy, f.Missed+of.Missed, f.Other+of.Other
		for code, n := range of.Refused {
			f.Refused[code] += n
		}
	}
	add := func(n uint64, what string) {
		if n > 0 {
			if text != "" {
				text += ", "
			}
			text += fmt.Sprintf("%d %s", n, what)
		}
	}
	add(f.Busy, "answers \"busy\", the request was sent again")
	add(f.Missed, "requests never sent: every device still waited for an answer")
	add(f.Other, "answers out of order")
	codes := make([]string, 0, len(f.Refused))
	for code := range f.Refused {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	for _, code := range codes {
		add(f.Refused[code], "refused with "+code)
	}
	return text
}

// WriteFile writes the report as JSON.
func (r *Report) WriteFile(name string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(text, '\n'), 0o644)
}

// ReadReport reads a report that WriteFile wrote.
func ReadReport(name string) (*Report, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r := &Report{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s is no report of muster-bench (--json): %w", name, err)
	}
	if r.Command == "" || len(r.Measures) == 0 {
		return nil, fmt.Errorf("%s is no report of muster-bench (--json): it has no measures", name)
	}
	for _, m := range r.Measures {
		if len(m.Rounds) == 0 {
			return nil, fmt.Errorf("%s: measure %q has no rounds", name, m.Name)
		}
	}
	return r, nil
}

// Diff writes what two reports have in common, and how many times as much the
// second has.
func Diff(out io.Writer, a, b *Report) {
	describe := func(which string, r *Report) {
		fmt.Fprintf(out, "%s: muster-bench %s, %s, %s (commit %.12s), %s\n   %s\n", which, r.Command, r.Began.Format(time.DateTime), r.Version, r.Commit, r.Go, r.Machine)
	}
	describe("A", a)
	describe("B", b)
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tA\tB\tB / A\tspread A\tspread B\t")
	for _, m := range a.Measures {
		other := b.measure(m.Name)
		if other == nil {
			continue
		}
		fmt.Fprintf(w, "%s\t\t\t\t\t\t\n", m.Name)
		for _, c := range columns {
			x, y := m.Median(c.of), other.Median(c.of)
			if x == 0 || y == 0 {
				continue
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%.2f ×\t%s\t%s\t\n", c.name, c.show(x), c.show(y), y/x, spread(m, c.of), spread(other, c.of))
		}
	}
	w.Flush()
	only := func(which string, x, y *Report) {
		for _, m := range x.Measures {
			if y.measure(m.Name) == nil {
				fmt.Fprintf(out, "only in %s: %s\n", which, m.Name)
			}
		}
	}
	only("A", a, b)
	only("B", b, a)
}

// spread is how far the rounds lie apart, against their median.
func spread(m *Measure, of func(*Figures) float64) string {
	if len(m.Rounds) < 2 {
		return ""
	}
	low, high := of(&m.Rounds[0]), of(&m.Rounds[0])
	for i := range m.Rounds {
		low, high = min(low, of(&m.Rounds[i])), max(high, of(&m.Rounds[i]))
	}
	return fmt.Sprintf("%.0f %%", 100*(high-low)/m.Median(of))
}

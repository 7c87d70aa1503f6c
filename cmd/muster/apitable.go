package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// show prints the last answer: as it came with --json, else as render does.
func (s *session) show(render func(t *table)) error {
	if s.json {
		_, err := s.out.Write(s.raw)
		return err
	}
	t := &table{tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)}
	render(t)
	return t.w.Flush()
}

// notices prints what the operator should know beside the output.
func (s *session) notices(warnings []string) {
	for _, w := range warnings {
		fmt.Fprintln(s.notice, "warning:", w)
	}
}

// table is output in aligned columns.
type table struct{ w *tabwriter.Writer }

func (t *table) row(cells ...any) {
	for i, cell := range cells {
		if i > 0 {
			fmt.Fprint(t.w, "\t")
		}
		fmt.Fprint(t.w, cellText(cell))
	}
	fmt.Fprintln(t.w)
}

// line prints a sentence outside of the columns.
func (t *table) line(format string, args ...any) {
	_ = t.w.Flush() // a failed write shows at the last flush too
	fmt.Fprintf(t.w, format+"\n", args...)
	_ = t.w.Flush()
}

// cellText writes a value as a person reads it; nothing is a hyphen.
func cellText(cell any) string {
	text := ""
	switch v := cell.(type) {
	case time.Time:
		if !v.IsZero() {
			text = v.UTC().Format("2006-01-02 15:04") + " UTC"
		}
	case bool:
		text = map[bool]string{true: "yes", false: "no"}[v]
	case []string:
		text = strings.Join(v, ", ")
	default:
		text = fmt.Sprint(v)
	}
	if text == "" {
		return "-"
	}
	return text
}

// readInput reads a file or, for "-", the standard input, at most max bytes.
func (s *session) readInput(path string, max int64) ([]byte, error) {
	in := s.in
	if path != "-" {
		f, err := openFile(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, max+1))
	if err == nil && int64(len(text)) > max {
		err = fmt.Errorf("%s has more than %d bytes, which is the limit; this is probably another file", path, max)
	}
	return text, err
}

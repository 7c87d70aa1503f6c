package sim_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// statement is one line of a scenario, with the lines that are indented below it.
type statement struct {
	file   string
	line   int
	indent int
	text   string // what is done or expected
	want   string // what stands behind "->", empty if nothing does
	block  []statement
}

// located is an error that names its file and line.
type located struct {
	file string
	line int
	err  error
}

func (l *located) Error() string { return fmt.Sprintf("%s:%d: %v", l.file, l.line, l.err) }

// at says where an error came up, unless it says so itself.
func (s *statement) at(err error) error {
	if l := (*located)(nil); err == nil || errors.As(err, &l) {
		return err
	}
	return &located{s.file, s.line, err}
}

var (
	comment = regexp.MustCompile(`(^|\s)#.*`)
	blanks  = regexp.MustCompile(`\s+`)
)

// parse reads a scenario: one statement a line, blocks by indentation.
func parse(file, text string) ([]statement, error) {
	var lines []statement
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(comment.ReplaceAllString(line, ""), " \t\r")
		body := strings.TrimLeft(line, " ")
		if body == "" {
			continue
		}
		text, want, _ := strings.Cut(body, "->")
		s := statement{file: file, line: i + 1, indent: len(line) - len(body), text: words(text), want: words(want)}
		if body[0] == '\t' {
			return nil, s.at(errors.New("indent with blanks, not with tabs"))
		}
		lines = append(lines, s)
	}
	list, rest := nest(lines, 0)
	if len(rest) > 0 {
		return nil, rest[0].at(errors.New("the indentation fits no block"))
	}
	return list, nil
}

// words puts single blanks between words.
func words(s string) string { return strings.TrimSpace(blanks.ReplaceAllString(s, " ")) }

// nest takes the statements of an indentation with their blocks, and gives back
// the lines behind them.
func nest(lines []statement, indent int) (list, rest []statement) {
	for len(lines) > 0 && lines[0].indent == indent {
		s := lines[0]
		lines = lines[1:]
		if len(lines) > 0 && lines[0].indent > indent {
			s.block, lines = nest(lines, lines[0].indent)
		}
		list = append(list, s)
	}
	return list, lines
}

// scenarioFiles are read once each.
func scenarioFiles(t *testing.T) map[string][]statement {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "scenarios", "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	files := map[string][]statement{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		list, err := parse(filepath.ToSlash(path), string(text))
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimSuffix(filepath.Base(path), ".txt")] = list
	}
	return files
}

// phrase is one way in which a statement can go on.
type phrase struct {
	pattern *regexp.Regexp // of the phrase alone
	take    func(m []string) error
}

// says makes a phrase of a pattern in which capitals stand for what they name.
func says(pattern string, take func(m []string) error) phrase {
	return phrase{compile(pattern + `(?:,? |$)`), take}
}

var forms = map[string]string{
	"TIME": `(\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d)?)`,
	"LIST": `([^\s,]+(?:, [^\s,]+)*)`,
	"WORD": `([^\s,]+)`,
	"N":    `(\d+)`,
	"WHEN": `today|yesterday|this hour|this slot|\d+ (?:day|hour|slot)s? ago|on \d{4}-\d\d-\d\d`,
}

var formNames = regexp.MustCompile(`\b(TIME|LIST|WORD|WHEN|N)\b`)

func compile(pattern string) *regexp.Regexp {
	return regexp.MustCompile(`^` + formNames.ReplaceAllStringFunc(pattern, func(name string) string { return forms[name] }))
}

// phrases takes a text apart from left to right; between two phrases there may
// stand a comma.
func phrases(text string, grammar ...phrase) error {
next:
	for text != "" {
		for _, p := range grammar {
			if m := p.pattern.FindStringSubmatch(text); m != nil {
				if err := p.take(m); err != nil {
					return err
				}
				text = text[len(m[0]):]
				continue next
			}
		}
		return fmt.Errorf("%q is not understood", text)
	}
	return nil
}

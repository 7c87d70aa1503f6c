package main

import (
	"net/http"

	"github.com/spf13/pflag"

	"muster/admin"
)

// validationFlags set which applications may use a project [PRJ-5]. Each flag
// replaces its own list, while the API takes all of them at once.
type validationFlags struct {
	domains, applications, processes []string
	none                             bool
}

// bind takes values as they are: a process name may have a comma in it.
func (f *validationFlags) bind(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.domains, "domain", nil, "a website that may use it, such as example.com or *.example.com; repeat for more, \"\" is none")
	flags.StringArrayVar(&f.applications, "application", nil, "the id of a mobile application that may use it; repeat for more, \"\" is none")
	flags.StringArrayVar(&f.processes, "process", nil, "the name of a process that may use it; repeat for more, \"\" is none")
	flags.BoolVar(&f.none, "no-validation", false, "let every application use it")
}

// change is the project's validation with the lists that were given replaced,
// nil if none was. id is empty for a project that is yet to be made.
func (f *validationFlags) change(s *session, id string) (*admin.Validation, error) {
	var v admin.Validation
	lists := []struct {
		name      string
		given, to *[]string
	}{{"domain", &f.domains, &v.Domains}, {"application", &f.applications, &v.Applications}, {"process", &f.processes, &v.Processes}}
	given := 0
	for _, list := range lists {
		if s.cmd.Flags().Changed(list.name) {
			given++
		}
	}
	switch {
	case f.none && given > 0:
		return nil, usageError("give --no-validation or the lists of --domain, --application and --process, not both")
	case f.none:
		return &v, nil
	case given == 0:
		return nil, nil
	case given < len(lists) && id != "":
		var p admin.Project
		if err := s.call(http.MethodGet, apiPath("projects", id), nil, &p); err != nil {
			return nil, err
		}
		v = p.Validation
	}
	for _, list := range lists {
		if s.cmd.Flags().Changed(list.name) {
			*list.to = listOf(*list.given)
		}
	}
	return &v, nil
}

// listOf is the values of a repeated flag; one empty value is the empty list.
func listOf(values []string) []string {
	if len(values) == 1 && values[0] == "" {
		return []string{}
	}
	return values
}

func showValidation(t *table, v *admin.Validation) {
	if len(v.Domains)+len(v.Applications)+len(v.Processes) == 0 {
		t.row("validation", "none: every application may use it")
		return
	}
	t.row("domains", v.Domains)
	t.row("applications", v.Applications)
	t.row("processes", v.Processes)
}

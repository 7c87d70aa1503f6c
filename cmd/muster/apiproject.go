package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"muster/admin"
)

func (a *apiFlags) projectCommands() *cobra.Command {
	list := a.command("list", "List the projects", cobra.NoArgs, func(s *session, _ []string) error {
		list, err := allPages(s, "projects", func(all, page *admin.ProjectList) uint32 {
			all.Projects = append(all.Projects, page.Projects...)
			return page.Next
		})
		if err != nil {
			return err
		}
		return s.show(func(t *table) {
			t.row("PROJECT", "NAME", "ORGANIZATION", "DEFAULT", "DISABLED", "PASSWORD", "ITEMS")
			for _, p := range list.Projects {
				t.row(p.ID, p.Name, p.OrganizationID, p.Default, p.Disabled, p.PasswordSet, p.Items)
			}
		})
	})
	show := a.command("show PROJECT", "Show a project", cobra.ExactArgs(1), func(s *session, args []string) error {
		var p admin.Project
		if err := s.call(http.MethodGet, apiPath("projects", args[0]), nil, &p); err != nil {
			return err
		}
		return s.show(func(t *table) { showProject(t, &p) })
	})
	return group("project", "Look at, make and change projects", list, show, a.createProjectCommand(), a.editProjectCommand())
}

func showProject(t *table, p *admin.Project) {
	t.row("project", p.ID)
	t.row("name", p.Name)
	t.row("organization", p.OrganizationID)
	t.row("default", p.Default)
	t.row("disabled", p.Disabled)
	t.row("password", map[bool]string{true: "set", false: "none"}[p.PasswordSet])
	t.row("old password until", p.OldPasswordUntil)
	t.row("created", p.Created)
	t.row("usage order", map[bool]string{true: "default", false: "set by the operator"}[p.DefaultOrder])
	t.row("items", p.Items)
	showShares(t, p.Shares)
	showValidation(t, &p.Validation)
}

// projectFlags are the flags by which a project is changed.
type projectFlags struct {
	name, password, grace                  string
	disable, enable, isDefault, defaultWay bool
	items                                  []string
	validation                             validationFlags
	shares                                 shareFlags
}

func (f *projectFlags) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "name")
	flags.StringVar(&f.password, "password", "", "session password; \"-\" reads it from the standard input, \"\" is none")
	flags.StringVar(&f.grace, "password-grace", "", "how long the old password stays valid, such as 7d or 12h")
	flags.BoolVar(&f.disable, "disable", false, "refuse devices of this project (error 162)")
	flags.BoolVar(&f.enable, "enable", false, "serve devices of this project")
	flags.BoolVar(&f.isDefault, "default", false, "make it the default project of its organization")
	flags.StringSliceVar(&f.items, "items", nil, "its items, LICENSE/ITEM, all of them, in usage order; \"\" is none")
	flags.BoolVar(&f.defaultWay, "default-order", false, "go back to the default usage order")
	f.validation.bind(flags)
	f.shares.bind(flags)
}

// change is what the flags that were given say of a project; id is empty for
// one that is yet to be made.
func (f *projectFlags) change(s *session, id string) (in admin.ProjectChange, err error) {
	changed := s.cmd.Flags().Changed
	if f.enable && f.disable {
		return in, usageError("give --disable or --enable, not both")
	}
	if changed("name") {
		in.Name = &f.name
	}
	if changed("password") {
		if in.Password, err = s.readPassword(f.password); err != nil {
			return in, err
		}
	}
	if changed("password-grace") {
		grace, err := admin.ParseDuration(f.grace)
		if err != nil {
			return in, usageError("--password-grace: %w", err)
		}
		seconds := int64(grace / time.Second)
		in.PasswordGraceSeconds = &seconds
	}
	if f.enable || f.disable {
		in.Disabled = &f.disable
	}
	if f.isDefault {
		in.Default = &f.isDefault
	}
	if changed("items") {
		in.Items = &f.items
	}
	if f.defaultWay {
		in.DefaultOrder = &f.defaultWay
	}
	if in.Validation, err = f.validation.change(s, id); err != nil {
		return in, err
	}
	in.Shares, err = f.shares.change(s, id)
	return in, err
}

// readPassword keeps a password out of the shell's history and the process list.
func (s *session) readPassword(given string) (*string, error) {
	if given != "-" {
		return &given, nil
	}
	line, err := bufio.NewReader(io.LimitReader(s.in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("password from the standard input: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return nil, usageError("--password -: the standard input is empty; give --password \"\" for none")
	}
	return &line, nil
}

func (a *apiFlags) editProjectCommand() *cobra.Command {
	var f projectFlags
	cmd := a.command("edit PROJECT", "Change a project", cobra.ExactArgs(1), func(s *session, args []string) error {
		in, err := f.change(s, args[0])
		if err != nil {
			return err
		}
		if in == (admin.ProjectChange{}) {
			return usageError("nothing to change: give at least one flag, see \"muster project edit --help\"")
		}
		return s.editProject(args[0], &in)
	})
	f.bind(cmd)
	return cmd
}

func (s *session) editProject(id string, in *admin.ProjectChange) error {
	var p admin.Project
	if err := s.call(http.MethodPatch, apiPath("projects", id), in, &p); err != nil {
		return err
	}
	s.notices(p.Warnings)
	return s.show(func(t *table) { showProject(t, &p) })
}

func (a *apiFlags) createProjectCommand() *cobra.Command {
	var f projectFlags
	var in admin.NewProject
	cmd := a.command("create", "Make a project", cobra.NoArgs, func(s *session, _ []string) error {
		if f.name == "" {
			return usageError("a project needs a name: give --name")
		}
		rest, err := f.change(s, "")
		if err != nil {
			return err
		}
		in.Name, rest.Name = f.name, nil
		var p admin.Project
		if err := s.call(http.MethodPost, apiPath("projects"), &in, &p); err != nil {
			return err
		}
		if rest == (admin.ProjectChange{}) {
			return s.show(func(t *table) { showProject(t, &p) })
		}
		if err := s.editProject(p.ID, &rest); err != nil {
			return fmt.Errorf("project %s was made, but the rest was refused (correct it with \"muster project edit %s\"): %w", p.ID, p.ID, err)
		}
		return nil
	})
	f.bind(cmd)
	cmd.Flags().StringVar(&in.OrganizationID, "organization", "", "organization (default: the only one there is)")
	cmd.Flags().StringVar(&in.Suffix, "suffix", "", "end of the project's id (default: the next free number)")
	return cmd
}

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"muster/admin"
)

func (a *apiFlags) accountCommands() *cobra.Command {
	list := a.command("list", "List the accounts that may log in to the portal", cobra.NoArgs, func(s *session, _ []string) error {
		var list admin.AccountList
		if err := s.call(http.MethodGet, apiPath("accounts"), nil, &list); err != nil {
			return err
		}
		return s.show(func(t *table) {
			t.row("ACCOUNT", "ROLE", "CREATED", "PASSWORD CHANGED")
			for _, v := range list.Accounts {
				t.row(v.Name, v.Role, v.Created, v.PasswordChanged)
			}
		})
	})
	var role string
	set := a.command("set NAME", "Make an account, or give one a new role or password", cobra.ExactArgs(1), func(s *session, args []string) error {
		password, err := s.newPassword("password of " + args[0] + " (empty: as it is): ")
		if err != nil {
			return err
		}
		return s.setAccount(args[0], &admin.AccountChange{Role: admin.Role(role), Password: password})
	})
	set.Flags().StringVar(&role, "role", "", "admin or viewer (of a new account: viewer)")
	set.Long = "The password is asked for, or read from the standard input when that is no terminal. A change ends the account's sessions."
	remove := a.command("remove NAME", "Remove an account and end its sessions", cobra.ExactArgs(1), func(s *session, args []string) error {
		if err := s.call(http.MethodDelete, apiPath("accounts", args[0]), nil, nil); err != nil {
			return err
		}
		fmt.Fprintf(s.notice, "account %s is removed\n", args[0])
		return nil
	})
	return group("account", "Look at and change who may log in to the portal", list, set, remove)
}

// resetAdminCommand is the way back in for who lost the password: it takes access
// to the machine [OPS-2].
func (a *apiFlags) resetAdminCommand() *cobra.Command {
	cmd := a.command("reset-admin", "Set a new password for the account \"admin\"", cobra.NoArgs, func(s *session, _ []string) error {
		password, err := s.newPassword("new password of admin: ")
		if err != nil {
			return err
		}
		if password == "" {
			return usageError("no password was given; nothing is changed")
		}
		return s.setAccount(admin.AdminAccount, &admin.AccountChange{Role: admin.RoleAdmin, Password: password})
	})
	cmd.Long = "For a lost password: on the server's machine, as the user that runs the server. The password is asked for, or read from the standard input when that is no terminal. The account is made if there is none; its sessions end."
	return cmd
}

func (s *session) setAccount(name string, in *admin.AccountChange) error {
	var v admin.Account
	if err := s.call(http.MethodPut, apiPath("accounts", name), in, &v); err != nil {
		return err
	}
	return s.show(func(t *table) { t.line("account %s, role %s; its former sessions are over", v.Name, v.Role) })
}

// newPassword asks for a password twice, or reads a line where nobody can be asked.
func (s *session) newPassword(prompt string) (string, error) {
	file, ok := s.in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		line, err := bufio.NewReader(s.in).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	ask := func(prompt string) (string, error) {
		fmt.Fprint(s.notice, prompt)
		password, err := term.ReadPassword(int(file.Fd()))
		fmt.Fprintln(s.notice)
		return string(password), err
	}
	first, err := ask(prompt)
	if err != nil || first == "" {
		return "", err
	}
	again, err := ask("once more: ")
	if err == nil && again != first {
		err = usageError("the two are not the same; nothing is changed")
	}
	return first, err
}

func (a *apiFlags) sessionCommands() *cobra.Command {
	list := a.command("list", "List who is logged in to the portal", cobra.NoArgs, func(s *session, _ []string) error {
		var list admin.SessionList
		if err := s.call(http.MethodGet, apiPath("sessions"), nil, &list); err != nil {
			return err
		}
		return s.show(func(t *table) {
			t.row("SESSION", "ACCOUNT", "SCOPE", "SINCE", "UNTIL")
			for _, v := range list.Sessions {
				t.row(v.ID, v.Account, v.Scope, v.Created, v.Expires)
			}
		})
	})
	end := a.command("end SESSION", "End a session, named by its number", cobra.ExactArgs(1), func(s *session, args []string) error {
		if err := s.call(http.MethodDelete, apiPath("sessions", args[0]), nil, nil); err != nil {
			return err
		}
		fmt.Fprintf(s.notice, "session %s is over\n", args[0])
		return nil
	})
	return group("session", "Look at and end sessions of the portal", list, end)
}

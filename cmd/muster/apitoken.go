package main

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"muster/admin"
)

func (a *apiFlags) tokenCommands() *cobra.Command {
	list := a.command("list", "List the tokens", cobra.NoArgs, func(s *session, _ []string) error {
		var list admin.TokenList
		if err := s.call(http.MethodGet, apiPath("tokens"), nil, &list); err != nil {
			return err
		}
		return s.show(func(t *table) {
			t.row("TOKEN", "NAME", "SCOPE", "CREATED", "EXPIRES", "EXPIRED")
			for _, v := range list.Tokens {
				t.row(v.ID, v.Name, v.Scope, v.Created, v.Expires, v.Expired)
			}
		})
	})
	revoke := a.command("revoke TOKEN", "Revoke a token, named by its number", cobra.ExactArgs(1), func(s *session, args []string) error {
		if err := s.call(http.MethodDelete, apiPath("tokens", args[0]), nil, nil); err != nil {
			return err
		}
		fmt.Fprintf(s.notice, "token %s is revoked\n", args[0])
		return nil
	})
	return group("token", "Look at, make and revoke tokens for the admin API", list, a.createTokenCommand(), revoke)
}

func (a *apiFlags) createTokenCommand() *cobra.Command {
	var in admin.NewToken
	var scope string
	cmd := a.command("create", "Make a token and print it, this once", cobra.NoArgs, func(s *session, _ []string) error {
		if in.Name == "" || scope == "" {
			return usageError("a token needs --name and --scope (read, write or metrics)")
		}
		in.Scope = admin.Scope(scope)
		var v admin.Token
		if err := s.call(http.MethodPost, apiPath("tokens"), &in, &v); err != nil {
			return err
		}
		until := "does not expire"
		if !v.Expires.IsZero() {
			until = "expires " + cellText(v.Expires)
		}
		fmt.Fprintf(s.notice, "token %d, %q, scope %s, %s; it is shown only now:\n", v.ID, v.Name, v.Scope, until)
		return s.show(func(t *table) { t.line("%s", v.Secret) })
	})
	cmd.Flags().StringVar(&in.Name, "name", "", "what it is for")
	cmd.Flags().StringVar(&scope, "scope", "", "read, write or metrics")
	cmd.Flags().StringVar(&in.ExpiresIn, "expires", "", "how long it is good for, such as 90d (default: it does not expire)")
	return cmd
}

// vendorKeyMax bounds a vendor key's file, bytes.
const vendorKeyMax = 16 << 10

func (a *apiFlags) vendorKeyCommands() *cobra.Command {
	add := a.command("add FILE|-", "Trust a vendor's public key", cobra.ExactArgs(1), func(s *session, args []string) error {
		text, err := s.readInput(args[0], vendorKeyMax)
		if err != nil {
			return err
		}
		var v admin.AddedVendorKey
		if err := s.post(apiPath("vendor-keys"), text, &v); err != nil {
			return err
		}
		return s.show(func(t *table) {
			if v.Added {
				t.line("key %s of %s is trusted from now on", v.ID, v.Vendor)
				t.line("next: muster import FILE")
				return
			}
			t.line("key %s of %s is trusted already", v.ID, v.Vendor)
		})
	})
	list := a.command("list", "List the vendor keys that are trusted", cobra.NoArgs, func(s *session, _ []string) error {
		var list admin.VendorKeyList
		if err := s.call(http.MethodGet, apiPath("vendor-keys"), nil, &list); err != nil {
			return err
		}
		return s.show(func(t *table) {
			t.row("KEY", "VENDOR", "SOURCE")
			for _, v := range list.VendorKeys {
				t.row(v.ID, v.Vendor, v.Source)
			}
		})
	})
	return group("vendor-key", "Look at and add the vendor keys that are trusted", add, list)
}

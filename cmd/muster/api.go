package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// apiFlags are the flags that all commands share which talk to a running server.
type apiFlags struct {
	url, token, data string
	ca               string
	json             bool
}

const dataDefault = "./muster-data"

// addAPICommands adds the commands that talk to a running server.
func addAPICommands(root *cobra.Command) {
	a := &apiFlags{}
	f := root.PersistentFlags()
	f.StringVar(&a.url, "url", "", "admin API of the server (MUSTER_URL; default: what a server left in its data directory)")
	f.StringVar(&a.token, "token", "", "token for the admin API (MUSTER_TOKEN; default: the machine's own, from the data directory)")
	f.StringVar(&a.ca, "ca", "", "certificate that the admin API's is trusted by, PEM (MUSTER_CA; default: the system's, and that in the data directory)")
	f.StringVar(&a.data, "data", dataDefault, "data directory of a server on this machine (MUSTER_DATA)")
	f.BoolVar(&a.json, "json", false, "print the API's answer as it is")
	root.AddCommand(
		a.importCommand(), a.licenseCommands(), a.itemCommands(), a.projectCommands(), a.deviceCommands(), a.keyCommand(),
		a.statusCommand(), a.tokenCommands(), a.vendorKeyCommands(), a.addressCommands(), a.ticketCommands(), a.clockCommands(), a.backupCommand(),
		a.accountCommands(), a.sessionCommands(), a.resetAdminCommand(), a.auditCommands(),
		a.statisticsCommand(), a.recordsCommand(), a.alertCommands(),
	)
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError("%s has no command %q; see \"%s --help\"", cmd.CommandPath(), args[0], cmd.CommandPath())
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(commands...)
	return cmd
}

func usageError(format string, args ...any) error {
	return codedError{fmt.Errorf(format, args...), exitUsage}
}

// session is one command's talk with the server.
type session struct {
	*apiClient
	ctx         context.Context
	cmd         *cobra.Command
	in          io.Reader
	out, notice io.Writer
	json        bool
}

// command is a command that talks to the server.
func (a *apiFlags) command(use, short string, args cobra.PositionalArgs, run func(s *session, args []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: usageArgs(args),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.connect(cmd)
			if err != nil {
				return err
			}
			return run(&session{
				apiClient: client, ctx: cmd.Context(), cmd: cmd, json: a.json,
				in: cmd.InOrStdin(), out: cmd.OutOrStdout(), notice: cmd.ErrOrStderr(),
			}, args)
		},
	}
}

// connect finds the server and the token: by flag, by environment, or else in
// the data directory. The machine's own token goes nowhere but to the address
// that stands beside it.
func (a *apiFlags) connect(cmd *cobra.Command) (*apiClient, error) {
	base := cmp.Or(a.url, os.Getenv("MUSTER_URL"))
	token := cmp.Or(a.token, os.Getenv("MUSTER_TOKEN"))
	data := a.data
	if env := os.Getenv("MUSTER_DATA"); env != "" && !cmd.Flags().Changed("data") {
		data = env
	}
	client := &apiClient{base: base, token: token, http: apiHTTP}
	var err error
	ca := cmp.Or(a.ca, os.Getenv("MUSTER_CA"))
	if own := filepath.Join(data, certFile); ca == "" && base == "" && exists(own) {
		ca = own
	}
	if ca != "" {
		if client.http, err = trusting(ca); err != nil {
			return nil, err
		}
	}
	if base == "" {
		if client.base, err = readServerFile(data, urlFile); err != nil {
			return nil, err
		}
		client.source = filepath.Join(data, urlFile)
	} else if token == "" {
		return nil, usageError("--url without a token: give --token or MUSTER_TOKEN; \"muster token create\" on the server's machine makes one")
	}
	if token == "" {
		if client.token, err = readServerFile(data, tokenFile); err != nil {
			return nil, err
		}
	}
	return client, client.check()
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// readServerFile reads what a server left in its data directory for its own machine.
func readServerFile(data, name string) (string, error) {
	path := filepath.Join(data, name)
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("no server runs in %s (there is no %s): start one with \"muster serve\", name its directory with --data, or give --url and --token", data, name)
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("%s: permission denied: run this as the user that runs the server, or give --url and --token", path)
	case err != nil:
		return "", err
	}
	return strings.TrimSpace(string(text)), nil
}

// check tells a wrong address before anything is sent to it.
func (c *apiClient) check() error {
	u, err := url.Parse(c.base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return usageError("address %q of the admin API: expected http://host:port", c.base)
	}
	c.base = strings.TrimSuffix(c.base, "/")
	return nil
}

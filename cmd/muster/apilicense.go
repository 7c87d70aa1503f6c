package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"muster/admin"
	"muster/license"
)

func openFile(path string) (*os.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such file", path)
	}
	return f, err
}

func (a *apiFlags) importCommand() *cobra.Command {
	var project, newProject string
	var preview bool
	cmd := a.command("import FILE|-", "Import a license file, or a newer revision of one", cobra.ExactArgs(1), func(s *session, args []string) error {
		if preview {
			return s.previewFile(args[0])
		}
		target := url.Values{}
		switch changed := s.cmd.Flags().Changed; {
		case changed("project") && changed("new-project"):
			return usageError("give --project or --new-project, not both")
		case changed("project"):
			target.Set("project", project)
		case changed("new-project"):
			target.Set("project", "new")
			target.Set("name", newProject)
		}
		return s.importFile(args[0], target)
	})
	cmd.Flags().BoolVar(&preview, "preview", false, "say what the import would do, and do nothing")
	cmd.Flags().StringVar(&project, "project", "", "id of the project to which new items are appended")
	cmd.Flags().StringVar(&newProject, "new-project", "", "name of a project to make for them (default: one named after the license)")
	return cmd
}

// previewFile says what an import would do [IMP-1].
func (s *session) previewFile(path string) error {
	text, err := s.readInput(path, license.FileSizeMax)
	if err != nil {
		return err
	}
	var p admin.ImportPreview
	if err := s.post(apiPath("license-file-preview"), text, &p); err != nil {
		return err
	}
	return s.show(func(t *table) {
		l := &p.LicenseFile
		outcome := map[string]string{"imported": "is new here", "updated": "is a newer revision", "unchanged": "is here already"}[p.Outcome]
		t.line("license %s (%s) of %s, organization %s, revision %d %s", l.LicenseID, l.Alias, l.Vendor, l.OrganizationID, l.Revision, outcome)
		t.row("ITEM", "STATE", "PRODUCT", "CHARGE WAY", "QUOTA", "EXPIRY", "CHANGES")
		for _, i := range p.Items {
			t.row(i.Name, i.State, i.Product, i.ChargeWay, i.Quota, i.Expiry, previewChanges(&i))
		}
		for _, name := range p.Removed {
			t.row(name, "removed: devices get 113")
		}
		t.line("nothing was imported")
	})
}

func previewChanges(i *admin.PreviewItem) (changes []string) {
	if i.New {
		return []string{"new"}
	}
	for _, c := range i.Changes {
		changes = append(changes, fmt.Sprintf("%s %s -> %s", c.Field, c.Before, c.After))
	}
	return changes
}

func (s *session) importFile(path string, target url.Values) error {
	text, err := s.readInput(path, license.FileSizeMax)
	if err != nil {
		return err
	}
	to := apiPath("license-files")
	if len(target) > 0 {
		to += "?" + target.Encode()
	}
	var r admin.ImportResult
	if err := s.post(to, text, &r); err != nil {
		return err
	}
	return s.show(func(t *table) { showImport(t, &r) })
}

// showImport says what happened and what comes next.
func showImport(t *table, r *admin.ImportResult) {
	what := map[string]string{
		"imported":  "imported",
		"updated":   "updated to revision " + fmt.Sprint(r.LicenseFile.Revision),
		"unchanged": "is here already, nothing changed",
	}[r.Outcome]
	t.line("license %s (%s) %s", r.LicenseFile.LicenseID, r.LicenseFile.Alias, what)
	showItems(t, r.Items)
	var projects []string
	for _, i := range r.Items {
		projects = append(projects, i.Projects...)
	}
	slices.Sort(projects)
	for _, id := range slices.Compact(projects) {
		t.line("next: muster key %s", id)
	}
	if len(projects) == 0 {
		t.line("no project serves these items: muster project edit PROJECT --items …")
	}
}

func (a *apiFlags) licenseCommands() *cobra.Command {
	list := a.command("list", "List the imported license files", cobra.NoArgs, func(s *session, _ []string) error {
		var list admin.LicenseFileList
		if err := s.call(http.MethodGet, apiPath("license-files"), nil, &list); err != nil {
			return err
		}
		return s.show(func(t *table) {
			t.row("LICENSE", "ALIAS", "ORGANIZATION", "REVISION", "VENDOR", "ITEMS", "IMPORTED", "SUSPENDED")
			for _, f := range list.LicenseFiles {
				t.row(f.LicenseID, f.Alias, f.OrganizationID, f.Revision, f.Vendor, len(f.Items), f.Imported, f.Suspended)
			}
		})
	})
	var text bool
	show := a.command("show LICENSE", "Show an imported license file", cobra.ExactArgs(1), func(s *session, args []string) error {
		if text {
			return s.showText(args[0])
		}
		var f admin.LicenseFile
		if err := s.call(http.MethodGet, apiPath("license-files", args[0]), nil, &f); err != nil {
			return err
		}
		return s.show(func(t *table) { showLicense(t, &f) })
	})
	show.Flags().BoolVar(&text, "text", false, "print the file as it was imported")
	return group("license", "Look at imported license files", list, show)
}

func (s *session) showText(id string) error {
	if err := s.call(http.MethodGet, apiPath("license-files", id, "text"), nil, nil); err != nil {
		return err
	}
	_, err := s.out.Write(s.raw)
	return err
}

func showLicense(t *table, f *admin.LicenseFile) {
	t.row("license", f.LicenseID)
	t.row("alias", f.Alias)
	t.row("organization", f.OrganizationID)
	t.row("revision", f.Revision)
	t.row("trial", f.Trial)
	t.row("vendor", f.Vendor+", key "+f.KeyID)
	t.row("issued", f.Issued)
	t.row("activated", f.Activated)
	t.row("imported", f.Imported)
	t.row("servers", f.ServerUUIDs)
	t.row("bindings", f.Bindings)
	t.row("items", f.Items)
	t.row("suspended", f.Suspended)
}

package portal

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"muster/admin"
)

// editProject makes a change of the project that the path names, for the state
// that the browser saw, and says what it did.
func (x *exchange) editProject(form string, change func() (admin.ProjectChange, error), done func(after *admin.Project) string) error {
	return x.submit(form, showProject, func() error {
		in, err := change()
		if err != nil {
			return err
		}
		body, err := json.Marshal(in)
		if err != nil {
			return err
		}
		id := x.r.PathValue("id")
		var after admin.Project
		m := message{method: http.MethodPatch, path: at("projects", id), contentType: "application/json", body: body, ifMatch: x.r.PostForm.Get("state")}
		if _, err := x.api.send(m, &after); err != nil {
			return err
		}
		return x.done(at("projects", id), done(&after), forPortal(after.Warnings)...)
	})
}

func said(text string) func(*admin.Project) string {
	return func(*admin.Project) string { return text }
}

func renameProject(x *exchange) error {
	return x.editProject("name", func() (admin.ProjectChange, error) {
		name := x.r.PostForm.Get("name")
		return admin.ProjectChange{Name: &name}, nil
	}, func(after *admin.Project) string { return "The project is called " + after.Name + " now." })
}

func makeDefault(x *exchange) error {
	yes := true
	return x.editProject("default", func() (admin.ProjectChange, error) { return admin.ProjectChange{Default: &yes}, nil },
		func(after *admin.Project) string {
			return after.Name + " is the default project of organization " + after.OrganizationID + " now."
		})
}

func enableProject(x *exchange) error {
	return x.editProject("enabled", func() (admin.ProjectChange, error) {
		disabled := x.r.PostForm.Get("enabled") == "no"
		return admin.ProjectChange{Disabled: &disabled}, nil
	}, func(after *admin.Project) string {
		if after.Disabled {
			return "The project is disabled: devices get error 162. Grants that were given last until they end."
		}
		return "The project is enabled."
	})
}

// orderItems sets the items and their usage order [PRJ-6]: as they stand in the
// form, with what one of its buttons does to them.
func orderItems(x *exchange) error {
	notice := "The usage order is set."
	return x.editProject("items", func() (admin.ProjectChange, error) {
		items := slices.Clone(x.r.PostForm["items"])
		do, argument, _ := strings.Cut(x.r.PostForm.Get("do"), " ")
		place, err := strconv.Atoi(argument)
		if known := err == nil && place >= 1 && place <= len(items); do != "" && do != "add" && !known {
			return admin.ProjectChange{}, problem(http.StatusUnprocessableEntity, "invalid", "", "The list changed meanwhile. Look at it again.")
		}
		switch i := place - 1; do {
		case "up":
			swap(items, i, i-1)
			notice = fmt.Sprintf("%s is number %d of %d now.", x.r.PostForm["items"][i], max(place-1, 1), len(items))
		case "down":
			swap(items, i, i+1)
			notice = fmt.Sprintf("%s is number %d of %d now.", x.r.PostForm["items"][i], min(place+1, len(items)), len(items))
		case "remove":
			notice = items[i] + " is no longer in the project. Its statistics stay."
			items = slices.Delete(items, i, i+1)
		case "add":
			items = append(items, x.r.PostForm.Get("add"))
			notice = x.r.PostForm.Get("add") + " is added, at the end of the usage order."
		}
		items = append([]string{}, items...) // a list without items, not none
		return admin.ProjectChange{Items: &items}, nil
	}, func(*admin.Project) string { return notice })
}

// swap changes two places, if both are there.
func swap(list []string, i, j int) {
	if i >= 0 && j >= 0 && i < len(list) && j < len(list) {
		list[i], list[j] = list[j], list[i]
	}
}

func defaultOrder(x *exchange) error {
	yes := true
	return x.editProject("items", func() (admin.ProjectChange, error) { return admin.ProjectChange{DefaultOrder: &yes}, nil },
		said("The usage order is the default one again: nearest expiry first."))
}

// setShares sets what is reserved for the project and what it is capped at [PRJ-7].
func setShares(x *exchange) error {
	return x.editProject("shares", func() (admin.ProjectChange, error) {
		shares := []admin.Share{}
		for _, item := range x.r.PostForm["item"] {
			reserve, _, err := amount(x.r, "reserve", item)
			if err != nil {
				return admin.ProjectChange{}, err
			}
			limit, capped, err := amount(x.r, "cap", item)
			if err != nil {
				return admin.ProjectChange{}, err
			}
			share := admin.Share{Item: item, Reserve: reserve}
			if capped {
				share.Cap = &limit
			}
			if capped || reserve > 0 {
				shares = append(shares, share)
			}
		}
		return admin.ProjectChange{Shares: &shares}, nil
	}, said("The project’s shares are set."))
}

// amount is what is reserved of an item, or its cap; given is false for an empty
// field.
func amount(r *http.Request, which, item string) (n uint64, given bool, err error) {
	text := strings.ReplaceAll(strings.TrimSpace(r.PostForm.Get(which+"-"+item)), ",", "")
	if text == "" {
		return 0, false, nil
	}
	if n, err = strconv.ParseUint(text, 10, 62); err != nil {
		p := problem(http.StatusUnprocessableEntity, "invalid", "shares."+which, "Expected a whole number, or nothing.")
		p.Item = item
		return 0, true, p
	}
	return n, true, nil
}

// setValidation sets which applications may use the project [PRJ-5].
func setValidation(x *exchange) error {
	return x.editProject("validation", func() (admin.ProjectChange, error) {
		form := x.r.PostForm
		in := admin.Validation{Domains: linesOf(form.Get("domains")), Applications: linesOf(form.Get("applications")), Processes: linesOf(form.Get("processes"))}
		return admin.ProjectChange{Validation: &in}, nil
	}, said("The validation fields are set."))
}

// setPassword sets the session password, or takes it away [PRJ-3].
func setPassword(x *exchange) error {
	return x.editProject("password", func() (admin.ProjectChange, error) {
		word := x.r.PostForm.Get("password")
		if x.r.PostForm.Get("do") == "remove" {
			word = ""
		} else if word == "" {
			return admin.ProjectChange{}, problem(http.StatusUnprocessableEntity, "invalid", "password", "Type the new session password.")
		}
		grace, err := strconv.ParseInt(x.r.PostForm.Get("grace"), 10, 64)
		if err != nil {
			return admin.ProjectChange{}, problem(http.StatusUnprocessableEntity, "invalid", "grace", "Choose how long the old password stays valid.")
		}
		return admin.ProjectChange{Password: &word, PasswordGraceSeconds: &grace}, nil
	}, func(after *admin.Project) string {
		if after.PasswordSet {
			return "The session password is set."
		}
		return "The project has no session password now."
	})
}

package admin

import "muster/engine"

// Validation is which applications may use a project [PRJ-5]; with all lists
// empty, all may. If there are lists, but none for a device's deployment type,
// the device is answered 114.
type Validation struct {
	Domains      []string `json:"domains"`      // of browsers: example.com, or *.example.com for all below it
	Applications []string `json:"applications"` // application ids, of mobile devices
	Processes    []string `json:"processes"`    // process names, of all others
}

func validationView(v engine.Validation) Validation {
	return Validation{
		Domains:      append([]string{}, v.Domains...),
		Applications: append([]string{}, v.Applications...),
		Processes:    append([]string{}, v.Processes...),
	}
}

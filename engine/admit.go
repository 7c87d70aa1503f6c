package engine

import (
	"crypto/subtle"

	"muster/license"
	"muster/protocol"
)

// Admission is the answer to a handshake: which project its ticket is for.
type Admission struct {
	Code       protocol.Code
	Project    uint32 // ordinal, 0 if none was found
	Generation uint32 // of the password that was given
}

// Admit resolves what a handshake asks for [CLI-1], in the order of [ERR-1]:
// organization, project, password. now is in unix seconds.
func (c *Catalog) Admit(project, organization, password string, now int64) Admission {
	p, code := c.resolve(project, organization)
	if p == nil {
		return Admission{Code: code}
	}
	a := Admission{Code: code, Project: p.Ordinal, Generation: p.generation(password, now)}
	switch {
	case code != protocol.OK:
	case p.Disabled:
		a.Code = protocol.ProjectDisabled
	case a.Generation == 0:
		a.Code = protocol.WrongPassword
	}
	return a
}

func (c *Catalog) resolve(project, organization string) (*Project, protocol.Code) {
	if project == "" {
		if organization == "" {
			return nil, protocol.NoProjectGiven
		}
		if p, ok := c.DefaultProject(organization); ok {
			return p, protocol.OK
		}
		return nil, protocol.NoDefaultProject
	}
	if !license.ValidProjectID(project) {
		return nil, protocol.BadProjectID
	}
	p, ok := c.Project(project)
	switch {
	case !ok:
		return nil, protocol.NoSuchProject
	case organization != "" && organization != p.Organization:
		return p, protocol.ProjectOfOther
	}
	return p, protocol.OK
}

// generation is the generation of the password given, 0 if it is none that is
// valid [PRJ-3]. Every comparison takes constant time.
func (p *Project) generation(password string, now int64) (found uint32) {
	if equal(p.Password, password) {
		found = p.Generation
	}
	for i := range p.Old {
		if old := &p.Old[i]; equal(old.Password, password) && found == 0 && now < old.Until {
			found = old.Generation
		}
	}
	return found
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

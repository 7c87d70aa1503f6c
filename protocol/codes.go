package protocol

import "fmt"

// Code is a licensing verdict that reaches a device. Values are frozen: client
// applications test for them (domain section 6).
type Code uint16

// The codes. 0 is success and is not sent in a Refused.
const (
	OK                 Code = 0
	NotServing         Code = 100
	NoSuchProject      Code = 101
	WrongPassword      Code = 102
	DomainMismatch     Code = 103
	NothingFits        Code = 104
	BadProjectID       Code = 105
	ProductMismatch    Code = 106
	VersionMismatch    Code = 107
	DeploymentMismatch Code = 108
	EditionMismatch    Code = 109
	Expired            Code = 111
	NotYetEffective    Code = 112
	InvalidItem        Code = 113
	ValidationMismatch Code = 114
	ChargeWayMismatch  Code = 115
	LimitExceeded      Code = 120
	NoDefaultProject   Code = 121
	ProjectOfOther     Code = 122
	NoProjectGiven     Code = 123
	RequirementMissing Code = 124
	MoreThanQuota      Code = 130
	Clone              Code = 151
	SeatFreed          Code = 160
	ClientBlocked      Code = 161
	ProjectDisabled    Code = 162
)

// codeNames are short names for logs, metrics and tools. The SDK renders the
// text that a person reads.
var codeNames = map[Code]string{
	OK:                 "ok",
	NotServing:         "not serving",
	NoSuchProject:      "no such project",
	WrongPassword:      "wrong session password",
	DomainMismatch:     "domain mismatch",
	NothingFits:        "nothing in the project fits",
	BadProjectID:       "project id not compliant",
	ProductMismatch:    "product mismatch",
	VersionMismatch:    "version mismatch",
	DeploymentMismatch: "deployment type mismatch",
	EditionMismatch:    "edition mismatch",
	Expired:            "expired",
	NotYetEffective:    "not yet effective",
	InvalidItem:        "revoked or invalid item",
	ValidationMismatch: "validation field mismatch",
	ChargeWayMismatch:  "charge way mismatch",
	LimitExceeded:      "limit exceeded",
	NoDefaultProject:   "organization unknown or without default project",
	ProjectOfOther:     "project and organization disagree",
	NoProjectGiven:     "neither project nor organization given",
	RequirementMissing: "required item missing",
	MoreThanQuota:      "more asked than the quota",
	Clone:              "clone detected",
	SeatFreed:          "seat freed by the operator",
	ClientBlocked:      "client blocked",
	ProjectDisabled:    "project disabled",
}

// String returns the code's short name with its number.
func (c Code) String() string {
	if name, ok := codeNames[c]; ok {
		return fmt.Sprintf("%d %s", uint16(c), name)
	}
	return fmt.Sprintf("%d unknown code", uint16(c))
}

package client

import (
	"testing"

	"muster/machine"
)

func TestHardBound(t *testing.T) { // [CLI-4]
	here := machine.Facts{{1}, {2}, {3}, {4}}
	first, err := hardBound(here, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		name string
		now  machine.Facts
		arch string
		same bool
	}{
		{"again", here, "amd64", true},
		{"a new network card and board", machine.Facts{{1}, {2}, {8}, {9}}, "amd64", true},
		{"a new processor", machine.Facts{{1}, {9}, {3}, {4}}, "amd64", false},
		{"a reinstalled system", machine.Facts{{9}, {2}, {3}, {4}}, "amd64", false},
		{"ARM counts the network card", here, "arm64", false},
	}
	for _, row := range rows {
		uuid, err := hardBound(row.now, row.arch)
		if err != nil || (uuid == first) != row.same {
			t.Errorf("%s: %v %v, same is %v", row.name, uuid, err, uuid == first)
		}
	}
	for _, arch := range []string{"amd64", "arm"} {
		if _, err := hardBound(machine.Facts{{}, {2}, {}, {4}}, arch); err == nil {
			t.Errorf("%s: made one without a machine id", arch)
		}
		if _, err := hardBound(machine.Facts{{1}}, arch); err == nil {
			t.Errorf("%s: made one of a machine id alone", arch)
		}
	}
	if text := first.String(); text[14] != '8' {
		t.Errorf("%s is not of version 8", text)
	}
}

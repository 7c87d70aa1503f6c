package machine

import (
	"encoding/json"
	"testing"
)

func TestSameMachine(t *testing.T) { // [SRV-2]
	here := Facts{{1}, {2}, {3}, {4}}
	rows := []struct {
		name string
		now  Facts
		same bool
	}{
		{"unchanged", here, true},
		{"a new network card", Facts{{1}, {2}, {3}, {9}}, true},
		{"a fact that can't be read any more", Facts{{1}, {2}, {}, {4}}, true},
		{"two changed", Facts{{1}, {2}, {8}, {9}}, false},
		{"another machine of the same make", Facts{{7}, {2}, {8}, {9}}, false},
	}
	for _, row := range rows {
		if here.Same(row.now) != row.same {
			t.Errorf("%s: same is %v", row.name, !row.same)
		}
	}
	bare := Facts{{1}, {2}}
	if bare.Same(Facts{{1}, {9}}) {
		t.Error("one matching fact is enough")
	}
}

func TestFactsSurviveJSON(t *testing.T) {
	f := Facts{{1, 2}, {}, {3}, {4}}
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var back Facts
	if err := json.Unmarshal(text, &back); err != nil || back != f {
		t.Errorf("%s came back as %v, %v", text, back, err)
	}
	if err := json.Unmarshal([]byte(`["00"]`), &back); err == nil {
		t.Error("a fact of one byte was accepted")
	}
}

func TestRead(t *testing.T) {
	a, b := Read(), Read()
	if a != b {
		t.Error("two readings of one machine differ")
	}
	if a.Digest() == (Facts{}).Digest() && a.Known() > 0 {
		t.Error("the digest does not depend on the facts")
	}
}

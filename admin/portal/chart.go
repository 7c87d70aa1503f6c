package portal

import (
	"encoding/json"

	"muster/admin"
)

// chart is what a script draws; the numbers stand in a table beside it too.
type chart struct {
	Kind   string      `json:"kind"` // bars (stacked) or line
	Grain  string      `json:"grain"`
	Times  []int64     `json:"times"` // unix seconds
	Series []chartLine `json:"series"`
	Quota  uint64      `json:"quota,omitempty"` // drawn as a line
}

type chartLine struct {
	Name   string   `json:"name"`
	Values []uint64 `json:"values"`
}

// chartOf draws a statistic, nil if there is nothing to draw.
func chartOf(s *admin.Statistics) *chart {
	c := &chart{Kind: "bars", Grain: s.Grain, Times: s.Times}
	if s.Accumulated || s.Measure == "concurrency" {
		c.Kind = "line"
	}
	for i := range s.Series {
		if line := &s.Series[i]; line.Total > 0 {
			c.Series = append(c.Series, chartLine{lineName(s.Measure, line), line.Values})
		}
	}
	if len(c.Series) == 0 {
		return nil
	}
	return c
}

// measureNames are the measures that are not split.
var measureNames = map[string]string{
	"devices": "Devices", "new-devices": "New devices", "concurrency": "At the same time", "authorizations": "Authorizations",
}

// lineName is a series' name as people read it.
func lineName(measure string, line *admin.DataLine) string {
	switch {
	case measure == "denials":
		return line.Name + " " + line.Text
	case measure == "uses" && line.Name == "(none)":
		return "no module"
	case measure == "uses":
		return line.Name
	}
	return measureNames[line.Name]
}

// JSON is the chart as the script reads it.
func (c *chart) JSON() (string, error) {
	data, err := json.Marshal(c)
	return string(data), err
}

package portal

import (
	"cmp"
	"slices"

	"muster/admin"
)

func (p *Portal) homeRoutes() []route {
	return []route{{pattern: "GET /{$}", handle: showHome}}
}

// homePage is how the server is, and what wants to be looked at [OPS-1].
type homePage struct {
	Server    admin.Server
	State     badge
	Attention []attention
	Step      int       // of a newcomer, 1 to 3; 0: devices have come
	First     string    // a project for the newcomer's key
	Items     []itemRow // the fullest ones
	More      int       // items that are not shown
	Today     today
	Chart     *chart
}

// today is what was counted since midnight, UTC; denials in the last 24 hours.
type today struct{ Uses, Authorizations, Denials uint64 }

// homeItems is how many items the home page shows.
const homeItems = 6

func showHome(x *exchange) error {
	var data homePage
	if err := x.api.get("server", &data.Server); err != nil {
		return err
	}
	data.State = map[string]badge{"serving": {"good", "Serving devices"}, "not serving": {"bad", "Not serving"}}[data.Server.State]
	if data.State.Text == "" {
		data.State = badge{"near", data.Server.State}
	}
	rows, err := x.items()
	if err != nil {
		return err
	}
	denials, err := data.count(x)
	if err != nil {
		return err
	}
	data.Attention = attentions(&data.Server, rows, denials, x.now())
	if err := data.guide(x, len(rows)); err != nil {
		return err
	}
	data.Items = fullest(rows)
	data.More = len(rows) - len(data.Items)
	return x.show("home", "Home", &data)
}

// items are all items with what is used of them.
func (x *exchange) items() ([]itemRow, error) {
	var list admin.ItemList
	if err := x.api.get("items", &list); err != nil {
		return nil, err
	}
	rows := make([]itemRow, 0, len(list.Items))
	for _, i := range list.Items {
		rows = append(rows, rowOf(i))
	}
	return rows, nil
}

// fullest are the items in force of which most is used.
func fullest(rows []itemRow) []itemRow {
	var list []itemRow
	for _, r := range rows {
		if inForce(&r.Item) {
			list = append(list, r)
		}
	}
	slices.SortStableFunc(list, func(a, b itemRow) int { return -cmp.Compare(a.Gauge.Percent, b.Gauge.Percent) })
	return list[:min(len(list), homeItems)]
}

// count reads the day's numbers, and the denials of the last 24 hours by reason.
func (d *homePage) count(x *exchange) (denials admin.Statistics, err error) {
	var uses, authorizations admin.Statistics
	if err = x.api.get("statistics?measure=uses&days=14", &uses); err != nil {
		return denials, err
	}
	if err = x.api.get("statistics?measure=authorizations&days=1", &authorizations); err != nil {
		return denials, err
	}
	if err = x.api.get("statistics?measure=denials&grain=hour&days=2", &denials); err != nil {
		return denials, err
	}
	d.Chart = chartOf(&uses)
	d.Today = today{Uses: lastOf(uses.Series, 1), Authorizations: lastOf(authorizations.Series, 1)}
	hours := 24 + x.now().Hour() + 1 // two days are asked for; of today's hours some are to come
	for i := range denials.Series {
		values := denials.Series[i].Values
		denials.Series[i].Total = sum(values[max(hours-24, 0):min(hours, len(values))])
		d.Today.Denials += denials.Series[i].Total
	}
	return denials, nil
}

// lastOf adds up the last n values of all series.
func lastOf(series []admin.DataLine, n int) (total uint64) {
	for _, s := range series {
		total += sum(s.Values[max(len(s.Values)-n, 0):])
	}
	return total
}

func sum(values []uint64) (total uint64) {
	for _, v := range values {
		total += v
	}
	return total
}

// guide finds a newcomer's next step: import a license, hand a key out, see the
// first device.
func (d *homePage) guide(x *exchange, items int) error {
	switch {
	case d.Server.Counts == nil || d.Server.Counts.Devices > 0:
		return nil
	case items == 0:
		d.Step = 1
		return nil
	}
	var list admin.ProjectList
	if err := x.api.get("projects", &list); err != nil {
		return err
	}
	d.Step = 2
	for _, p := range list.Projects {
		if len(p.Items) > 0 {
			d.First = p.ID
			return nil
		}
	}
	return nil
}

// Package uplot holds the chart library uPlot (MIT, see LICENSE.txt), for the
// portal's pages and the reports of the load tool. admin/portal/assets/renew
// fetches it anew.
package uplot

import _ "embed"

// Script defines the global uPlot, Style is its style sheet.
var (
	//go:embed uplot.js
	Script []byte
	//go:embed uplot.css
	Style []byte
)

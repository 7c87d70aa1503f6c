// Package client is the Go SDK of muster: an application checks in, keeps a
// grant that it can verify offline, and reports what it used.
//
// A client is made from the license key string that the operator hands out and
// the vendor's public key that is embedded in the application:
//
//	c, err := client.New(client.Options{LicenseKey: key, Vendor: ring, State: kept})
//	grant, err := c.CheckIn(ctx, client.Use{Product: "DBR", Version: 11, Edition: "mobile"})
//	err = c.Report(ctx, client.Count{Module: "QR", Count: 3})
//	kept = c.State() // keep it on the device for the next run
//
// Every change has a number in the device's stream. A change whose answer was
// lost is sent again with the same number, over a new connection if need be, and
// counts once. Refusals are of type [*Error], with a code that stays stable and
// a text that says what to do.
package client

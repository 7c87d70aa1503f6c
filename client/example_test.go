package client_test

import (
	"context"
	"fmt"

	"muster/client"
)

// An application checks in, works under its grant, reports what it used and
// gives its seat back.
func Example() {
	server := startServer() // a real application gets Key from the operator
	defer server.Close()

	c, err := client.New(client.Options{LicenseKey: server.Key, Vendor: server.Ring})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	ctx := context.Background()
	grant, err := c.CheckIn(ctx, client.Use{Product: "Reader", Version: 3, Modules: []string{"QR"}})
	if err != nil {
		fmt.Println(err) // says what is wrong and what to do
		return
	}
	fmt.Println("granted", grant.ChargeWay, "by item", grant.ItemID, "- valid offline:", c.Valid())

	if err := c.Report(ctx, client.Count{Module: "QR", Count: 12}); err != nil {
		fmt.Println(err)
		return
	}
	if err := c.Release(ctx); err != nil {
		fmt.Println(err)
		return
	}
	kept := c.State() // store it; the next run of the application begins with it
	fmt.Println("changes acknowledged:", kept.Seq)
	// Output:
	// granted device-yearly by item seats - valid offline: true
	// changes acknowledged: 2
}

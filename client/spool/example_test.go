package spool_test

import (
	"context"
	"fmt"
	"os"

	"muster/client"
	"muster/client/spool"
	"muster/license"
)

// An application checks in, counts what it does while there is no connection, and
// sends it when there is one, in a later run if need be.
func Example() {
	server := startServer() // a real application gets Key from the operator
	defer server.Close()
	dir, _ := os.MkdirTemp("", "application-")
	defer os.RemoveAll(dir)
	options := spool.Options{
		Dir: dir, LicenseKey: server.Key, Vendor: server.Ring,
		Use: client.Use{Product: "Reader", Version: 3, Modules: []string{"QR"}, ChargeWay: license.Scan},
	}
	ctx := context.Background()

	first, err := spool.Open(options)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := first.CheckIn(ctx); err != nil {
		fmt.Println(err) // says what is wrong and what to do
		return
	}
	for range 3 {
		if err := first.Add("QR", 2); err != nil { // on disk when it returns
			fmt.Println(err)
		}
	}
	first.Close() // or kill -9

	second, err := spool.Open(options)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer second.Close()
	fmt.Println("valid without asking again:", second.Valid())
	if err := second.Send(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("counted by the server:", server.uses(1))
	// Output:
	// valid without asking again: true
	// counted by the server: 6
}

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
// While it runs, an application reports about once a slot (3 minutes) and checks
// in again when [Client.RenewAt] has come. A grant may last for a year or, when
// devices take turns, for less than two slots; this loop serves both:
//
//	for {
//		wait := 3 * time.Minute
//		if left := c.RenewAt().Sub(c.Now()); left > 0 { // else a renewal failed: the next slot will do
//			wait = min(wait, left)
//		}
//		select {
//		case <-ctx.Done():
//			return
//		case <-time.After(wait):
//		}
//		if n := scans.Swap(0); n > 0 {
//			err = c.Report(ctx, client.Count{Module: "QR", Count: n}) // kept and sent again, if it fails
//		}
//		if !c.Now().Before(c.RenewAt()) {
//			grant, err = c.CheckIn(ctx, use) // if it fails, the work goes on while c.Valid()
//		}
//		kept = c.State()
//	}
//
// Package client/spool keeps state and usage on disk, so that nothing is lost or
// counted twice when the process is killed. Who keeps them elsewhere sets
// [Options].Keep: State after a call is too late for what the call had sent.
//
// A call tries the addresses of the license key in turn, main servers before
// standbys, and again after a second, two, four, as far as [Options].Timeout
// allows. A client on a standby comes back to a main after some minutes.
//
// Every change has a number in the device's stream. A change whose answer was
// lost is sent again with the same number, over a new connection if need be, and
// counts once. Refusals are of type [*Error], with a code that stays stable and
// a text that says what to do.
package client

// Package sim is for tests that look at the product as a whole. It has a real
// [Server] in the process of the test and a [Vendor]. Its own tests hold the
// engine against a naive model of the rules, and play scenarios.
//
// # Scenarios
//
// The files in testdata/scenarios say in prose what the licensing rules mean, a
// file for each family of rules. TestScenarios plays each of them twice: on the
// pure core with a journal in memory, and on a real server, with devices that
// make handshakes and speak in sealed records over TCP. At the end it restarts
// the server, and all that was counted must be there. A scenario:
//
//	# Device seats. [DEV-1] [DEV-3]
//	at 2026-11-23 12:01:00
//	license 1001
//	  item seats
//	    ChargeWay: device-monthly
//	    Quota: 5
//	    Modules: 1D, QR
//	import 1001 to new project Warehouse
//	devices D1 to D6 check in for DBR        -> granted seats for 30d
//	device D7 checks in for DBR              -> refused 120 seats
//	device D1 reports 3 of QR, 2 1 slot ago
//	expect item seats held 6, uses 5
//	after 30d
//	expect item seats held 0
//
// A statement is a line. What belongs to it is indented below it, # begins a
// comment. Behind -> stands the outcome; without one it must be success.
//
// Time stands still until a statement moves it:
//
//	at 2026-11-23 12:01:00      after 30d | after 1h30m
//	repeat 111 times            and below it what is repeated
//
// Licenses. An item is of product DBR, charged by scan, has a quota of 100 and is
// valid through 2027, unless its fields, those of a license file, say otherwise.
// Another revision begins with what the one before says; "drop ITEM" leaves an
// item out. ServerUUID is this, another, or both; a Vendor other than Acme has a
// key that nobody trusts yet.
//
//	license 1001 [revision 2]
//	import 1001 [revision 1] [to new project P | to project P] -> imported | updated | unchanged | fails "words"
//	trust vendor NAME
//
// The operator. Every statement can be expected to fail: -> fails "words".
//
//	new project P [with suffix S] [of organization O]
//	project P                   and below it one edit of it, such as
//	  password W, the old one for 1h     no password
//	  items a, b                         default order
//	  domains a, *.b.com                 applications a        processes a        no validation
//	  reserve 4 of a                     cap 3 of a            no shares
//	  disabled    enabled    the default
//	addresses tcp://host:port, …
//	free the seat of A on ITEM    block A    unblock A    clear A
//	restart the server [for at most 3 devices]
//	on the real server          and below it what the core alone can't do:
//	  the server is stopping    the server is starting    the server serves
//
// Devices. One that is named for the first time is new, and speaks through the
// project that was made or imported to last, or through the one that a statement
// names. It keeps the license key that it got then. It asks for version 11 of
// the edition desktop on a desktop unless it says otherwise.
//
//	device A checks in for DBR [version 3] [edition E] [on browser] [charged by scan] [as VALUE]
//	         [asking 4 instances] [through P | through organization O] [with MODULE, …]
//	device A reports 5, 3 of QR 20 slots ago, 1 2 slots ahead [for ITEM] [through P]
//	device A releases [for ITEM] [through P]
//	device A sends again        the last change once more, with its number and tag
//	device A asks for its place    device A starts anew    device A skips a number
//	device B is a copy of A     device A2 is another application of A
//	device A greets [by project P] [by organization O] [by password W] -> welcome
//	device A takes the license key of P
//
// and is answered
//
//	granted ITEM [for 7d | until TIME] [10 instances] [in grace] [from first use] [through P] [with MODULE, …]
//	refused 120 [ITEM]    busy    accepted    accepted up to 3    out of step, 4 is next    no stream
//	lost                        whatever the answer is, it does not arrive
//
// Every grant is verified from the vendor's public key alone. A check-in that is
// asked to show a word shows it by itself.
//
// Expectations, of now, or of a slot, an hour or a day ("20 slots ago", "this
// hour", "yesterday", "on 2028-02-29"):
//
//	expect item ITEM [through P] held 3, uses 5 of QR, overuse 90, state in grace, undated 1, authorizations 2, devices 2
//	expect item ITEM [through P] today uses 5, devices 2, new-devices 1, authorizations 2, peak 3
//	expect item ITEM this slot concurrency 3
//	expect project P [today] denials 2 with 120, uses 5, devices 2, authorizations 2
//	expect project P items a, b            in usage order
//	expect device A streams 2, retired 0, forgiven 1, clones 0, seats 1, not blocked
//	expect latest denials | reports | authorizations of P [yesterday]
//	  A 120 on ITEM             newest first
package sim

package client

// What tests of the package see beside its exported names.

var Renewal = renewal

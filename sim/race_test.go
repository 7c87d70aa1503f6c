//go:build race

package sim

// raceFactor is how much less is done under the race detector.
const raceFactor = 10

package main

import (
	"context"
	"flag"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"muster/bench"
)

var (
	pausePasses  = flag.Int("pause-passes", 1, "checkpoints of TestCheckpointPause")
	pauseDevices = flag.Int("pause-devices", 20_000, "its devices")
)

// TestCheckpointPause has a real server write checkpoints while devices report as
// fast as they can, and says how long the pauses are that they put between two
// batches, up to the bound of the highest bucket that was met.
func TestCheckpointPause(t *testing.T) {
	if testing.Short() {
		t.Skip("a checkpoint begins after 256 MiB of journal")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Duration(*pausePasses)*2*time.Minute)
	defer cancel()
	d := &demo{devices: *pauseDevices}
	server, err := bench.StartServer(ctx, bench.ServerOptions{Binary: built(t), Dir: t.TempDir(), CPU: -1, Stderr: os.Stderr, Items: d.items()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { server.Kill() }()
	load := crashLoad()
	load.Devices, load.Depth, load.PerRecord = *pauseDevices, 64, 64
	fleet, err := bench.NewFleet(ctx, server.Key, load)
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Close()
	if err := fleet.CheckIn(ctx); err != nil {
		t.Fatal(err)
	}
	for passes := 0.0; passes < float64(*pausePasses); {
		while, stop := context.WithTimeout(ctx, time.Second)
		err := fleet.Run(while)
		stop()
		if err != nil {
			t.Fatal(err)
		}
		metrics, err := server.Metrics(ctx)
		if err != nil {
			t.Fatal(err)
		}
		passes = metrics["muster_checkpoints_total"]
	}
	pauses, upTo := pausesOf(t, ctx, server)
	told, counted, _ := sums(t, fleet, server)
	if pauses == 0 || told != counted {
		t.Errorf("%.0f pauses; %d scans counted, %d acknowledged", pauses, counted, told)
	}
	t.Logf("%.0f pauses of %d checkpoints under %d reports", pauses, *pausePasses, told)
	for _, bound := range slices.Sorted(maps.Keys(upTo)) {
		t.Logf("up to %-12v %6.0f", bound, upTo[bound])
		if upTo[bound] == pauses {
			break
		}
	}
}

// pausesOf reads how many pauses there were, and how many of them up to each bound.
func pausesOf(t *testing.T, ctx context.Context, server *bench.Server) (pauses float64, upTo map[time.Duration]float64) {
	t.Helper()
	metrics, err := server.Metrics(ctx)
	if err != nil {
		t.Fatal(err)
	}
	const name = "muster_checkpoint_pause_seconds"
	upTo = map[time.Duration]float64{}
	for metric, n := range metrics {
		rest, ok := strings.CutPrefix(metric, name+`_bucket{le="`)
		le, err := strconv.ParseFloat(strings.TrimSuffix(rest, `"}`), 64)
		if ok && err == nil && n > 0 && !math.IsInf(le, 1) {
			upTo[time.Duration(le*float64(time.Second))] = n
		}
	}
	return metrics[name+"_count"], upTo
}

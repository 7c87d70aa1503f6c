package bench

import (
	"fmt"
	"runtime"
)

// Machine is where something was measured.
type Machine struct {
	System string `json:"system"` // operating system and architecture, with its release
	CPU    string `json:"cpu"`    // the model
	CPUs   int    `json:"cpus"`
	Memory int64  `json:"memory"` // bytes; 0: not known
}

// String describes the machine in a line.
func (m Machine) String() string {
	return fmt.Sprintf("%s, %d × %s, %.0f GiB", m.System, m.CPUs, m.CPU, float64(m.Memory)/(1<<30))
}

func thisMachine() Machine {
	m := Machine{System: runtime.GOOS + "/" + runtime.GOARCH, CPU: "unknown CPU", CPUs: runtime.NumCPU()}
	m.ask()
	return m
}

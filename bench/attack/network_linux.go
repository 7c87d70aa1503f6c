package attack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// network is three network namespaces: devices and attackers, each joined to the
// server by a pair of virtual Ethernet interfaces.
//
//	devices 10.98.0.2 --- 10.98.0.1 server 10.99.0.1 --- 10.99.0.2, 10.99.1.x attackers
type network struct{ devices, server, attackers string }

// newNetwork makes the namespaces; Close removes them.
func newNetwork() (*network, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("attacks need network namespaces: run this as root")
	}
	name := func(of string) string { return fmt.Sprintf("muster-%d-%s", os.Getpid(), of) }
	n := &network{devices: name("devices"), server: name("server"), attackers: name("attackers")}
	steps := [][]string{{"netns", "add", n.devices}, {"netns", "add", n.server}, {"netns", "add", n.attackers}}
	join := func(peers, subnet string) {
		steps = append(steps,
			[]string{"-n", n.server, "link", "add", "to-" + subnet, "type", "veth", "peer", "name", "to-server", "netns", peers},
			[]string{"-n", n.server, "addr", "add", "10." + subnet + ".0.1/16", "dev", "to-" + subnet},
			[]string{"-n", n.server, "link", "set", "to-" + subnet, "up"},
			[]string{"-n", peers, "addr", "add", "10." + subnet + ".0.2/16", "dev", "to-server"},
			[]string{"-n", peers, "link", "set", "to-server", "up"},
			[]string{"-n", peers, "link", "set", "lo", "up"})
	}
	join(n.devices, "98")
	join(n.attackers, "99")
	for i := range sources {
		steps = append(steps, []string{"-n", n.attackers, "addr", "add", source(i).String() + "/16", "dev", "to-server"})
	}
	steps = append(steps,
		[]string{"-n", n.attackers, "route", "add", "10.98.0.0/16", "via", "10.99.0.1"},
		[]string{"-n", n.server, "link", "set", "lo", "up"})
	for _, step := range steps {
		if out, err := exec.Command("ip", step...).CombinedOutput(); err != nil {
			n.Close()
			return nil, fmt.Errorf("ip %s: %w: %s", strings.Join(step, " "), err, out)
		}
	}
	return n, nil
}

// Close removes what newNetwork made.
func (n *network) Close() {
	for _, name := range []string{n.devices, n.server, n.attackers} {
		_ = exec.Command("ip", "netns", "del", name).Run()
	}
}

// inside is the command that runs another one in a namespace.
func inside(namespace string) []string { return []string{"ip", "netns", "exec", namespace} }

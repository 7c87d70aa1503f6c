package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"muster/engine"
	"muster/engine/server"
	"muster/license"
)

// serveConfig is what a server is started with. Every field is a flag, an
// environment variable MUSTER_… and a line of the config file, in this order of
// precedence.
type serveConfig struct {
	Data           string
	Listen         string
	Admin          string
	AdminHosts     []string
	AdminTLS       bool
	AdminCert      string
	AdminKey       string
	VendorKeys     []string
	Binding        string
	Loops          int
	UDP            bool
	Profile        string
	AlertInterval  time.Duration
	MetricsToken   bool
	ConnectionsMax int
	Guards         server.Guards
	ProxiedFrom    []string
	DevicesMax     uint32
	DiskFloor      uint64
	LogLevel       string
	LogFormat      string
	ConfigFile     string
}

// flags declares the fields with their defaults: the one place for both.
func (c *serveConfig) flags(f *pflag.FlagSet) {
	f.StringVar(&c.Data, "data", "./muster-data", "data directory, made at the first start")
	f.StringVar(&c.Listen, "listen", ":4808", "address for devices (TCP)")
	f.StringVar(&c.Admin, "admin", "127.0.0.1:48080", "address of the admin API")
	f.StringSliceVar(&c.AdminHosts, "admin-host", nil, "name under which the admin API is reached, beside loopback names and IP addresses")
	f.BoolVar(&c.AdminTLS, "admin-tls", false, "serve the admin API under TLS, with a certificate that the server makes for itself unless --admin-cert is given")
	f.StringVar(&c.AdminCert, "admin-cert", "", "file with the certificate of the admin API and its chain, PEM; read anew when it changes")
	f.StringVar(&c.AdminKey, "admin-key", "", "file with its private key, PEM")
	f.StringSliceVar(&c.VendorKeys, "vendor-key", nil, "file with a vendor's public key to trust; may be given several times")
	f.StringVar(&c.Binding, "binding", "hardware", "how a new server is bound: hardware, or key for containers and clusters")
	f.IntVar(&c.Loops, "loops", server.LoopsDefault(), "event loops for devices")
	f.BoolVar(&c.UDP, "udp", true, "serve devices by UDP too, on the same port")
	f.IntVar(&c.ConnectionsMax, "connections-max", server.ConnectionsMax, "open device connections at most")
	f.Uint32Var(&c.DevicesMax, "devices-max", 20_000_000, "devices that are remembered at most")
	f.Uint64Var(&c.DiskFloor, "disk-floor", diskFloorDefault, "bytes that must be free on the disk of the data directory; below, devices are not served")
	f.DurationVar(&c.Guards.RecordTime, "record-time", server.RecordTimeDefault, "close a device connection whose record is not complete after this time, or that shows no valid one")
	f.DurationVar(&c.Guards.IdleTime, "idle-time", server.IdleTimeDefault, "close a device connection on which nothing came for this time")
	f.Uint32Var(&c.Guards.ConnectionRate, "source-connections", server.ConnectionRateDefault, "new connections that one source address may make, a second")
	f.Uint32Var(&c.Guards.ConnectionBurst, "source-connections-burst", server.ConnectionBurstDefault, "the same at once")
	f.Uint32Var(&c.Guards.HandshakeRate, "source-handshakes", server.HandshakeRateDefault, "handshakes that one source address may make, a second")
	f.Uint32Var(&c.Guards.HandshakeBurst, "source-handshakes-burst", server.HandshakeBurstDefault, "the same at once")
	f.Uint64Var(&c.Guards.IncompleteMax, "incomplete-max", server.IncompleteMaxDefault, "bytes of incomplete records that all connections may hold together")
	f.Uint64Var(&c.Guards.UnreadMax, "unread-max", server.UnreadMaxDefault, "bytes of answers that devices may leave unread, all together")
	f.StringSliceVar(&c.ProxiedFrom, "proxied-from", nil, "networks of proxies that send a PROXY protocol v2 header, such as 10.0.0.5/32")
	f.DurationVar(&c.AlertInterval, "alert-interval", 10*time.Minute, "how often usage alerts are evaluated")
	f.BoolVar(&c.MetricsToken, "metrics-token", false, "ask for a token (scope metrics) for /metrics from this machine too")
	f.StringVar(&c.Profile, "profile", "", "directory for profiles of the run, cpu.pprof and allocs.pprof; empty: none")
	f.StringVar(&c.LogLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&c.LogFormat, "log-format", "text", "text or json")
	f.StringVar(&c.ConfigFile, "config", "", "YAML file with the same names as these flags")
}

// complete fills what was not given as a flag from the environment, then from
// the config file, and checks everything: the error lists every fault.
func (c *serveConfig) complete(f *pflag.FlagSet) error {
	var faults []error
	f.VisitAll(func(flag *pflag.Flag) {
		value, ok := os.LookupEnv(envName(flag.Name))
		if ok && !flag.Changed {
			if err := f.Set(flag.Name, value); err != nil {
				faults = append(faults, fmt.Errorf("%s=%q: %w", envName(flag.Name), value, err))
			}
		}
	})
	if err := c.readFile(f); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(append(faults, c.check()...)...)
}

func envName(flag string) string {
	return "MUSTER_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func (c *serveConfig) readFile(f *pflag.FlagSet) error {
	if c.ConfigFile == "" {
		return nil
	}
	data, err := os.ReadFile(c.ConfigFile)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(data, &values); err != nil {
		return fmt.Errorf("config file %s: %w", c.ConfigFile, err)
	}
	var faults []error
	for name, value := range values {
		flag := f.Lookup(name)
		if flag == nil || name == "config" {
			faults = append(faults, fmt.Errorf("config file %s: unknown setting %q", c.ConfigFile, name))
			continue
		}
		if flag.Changed {
			continue
		}
		if err := f.Set(name, yamlText(value)); err != nil {
			faults = append(faults, fmt.Errorf("config file %s: %s: %w", c.ConfigFile, name, err))
		}
	}
	return errors.Join(faults...)
}

// yamlText is a setting's value as a flag takes it; lists are joined by commas.
func yamlText(value any) string {
	list, ok := value.([]any)
	if !ok {
		return fmt.Sprint(value)
	}
	parts := make([]string, len(list))
	for i := range list {
		parts[i] = fmt.Sprint(list[i])
	}
	return strings.Join(parts, ",")
}

func (c *serveConfig) check() (faults []error) {
	fault := func(format string, a ...any) { faults = append(faults, fmt.Errorf(format, a...)) }
	for name, addr := range map[string]string{"--listen": c.Listen, "--admin": c.Admin} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			fault("%s %q: expected host:port, such as 127.0.0.1:4808 or :4808", name, addr)
		}
	}
	if (c.AdminCert == "") != (c.AdminKey == "") {
		fault("--admin-cert and --admin-key: give both or neither")
	}
	if c.Data == "" {
		fault("--data: expected a directory")
	}
	if _, err := license.ParseBinding(c.Binding); err != nil {
		fault("--binding %q: expected hardware or key", c.Binding)
	}
	if c.Loops < 1 || c.Loops > 64 {
		fault("--loops %d: expected 1 to 64", c.Loops)
	}
	for _, text := range c.ProxiedFrom {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			fault("--proxied-from %q: expected a network such as 10.0.0.5/32", text)
			continue
		}
		c.Guards.ProxiedFrom = append(c.Guards.ProxiedFrom, network)
	}
	if c.Guards.RecordTime < time.Second || c.Guards.IdleTime < time.Second {
		fault("--record-time and --idle-time: expected a second or more")
	}
	if g := &c.Guards; min(g.ConnectionRate, g.ConnectionBurst, g.HandshakeRate, g.HandshakeBurst) < 1 {
		fault("--source-connections, --source-handshakes and their bursts: expected 1 or more")
	}
	if min(c.Guards.IncompleteMax, c.Guards.UnreadMax) < 1<<20 {
		fault("--incomplete-max and --unread-max: expected 1048576 (1 MiB) or more")
	}
	if c.AlertInterval < time.Second || c.AlertInterval > 24*time.Hour {
		fault("--alert-interval %s: expected 1s to 24h", c.AlertInterval)
	}
	if c.ConnectionsMax < 1 {
		fault("--connections-max %d: expected 1 or more", c.ConnectionsMax)
	}
	if c.DevicesMax < 1 || c.DevicesMax > engine.DevicesMax {
		fault("--devices-max %d: expected 1 to %d", c.DevicesMax, engine.DevicesMax)
	}
	if _, err := c.level(); err != nil {
		fault("--log-level %q: expected debug, info, warn or error", c.LogLevel)
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		fault("--log-format %q: expected text or json", c.LogFormat)
	}
	if _, err := c.keyRing(); err != nil {
		faults = append(faults, err)
	}
	return faults
}

func (c *serveConfig) level() (l slog.Level, err error) {
	return l, l.UnmarshalText([]byte(c.LogLevel))
}

// keyRing reads the vendor keys [FILE-5].
func (c *serveConfig) keyRing() (*license.KeyRing, error) {
	ring := &license.KeyRing{}
	var faults []error
	for _, path := range c.VendorKeys {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			err = errors.New("no such file; the vendor ships it as NAME.pub")
		}
		var key license.PublicKey
		if err == nil {
			key, err = license.ParsePublicKey(text)
		}
		if err == nil {
			err = ring.Add(key)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("--vendor-key %s: %w", path, err))
		}
	}
	return ring, errors.Join(faults...)
}

// udpLoops is one socket for each event loop, where sockets can share a port.
func (c *serveConfig) udpLoops() int {
	switch {
	case !c.UDP:
		return 0
	case runtime.GOOS == "linux":
		return c.Loops
	}
	return 1
}

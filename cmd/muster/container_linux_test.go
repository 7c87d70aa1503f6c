package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestContainer runs what the last stage of deploy/Dockerfile makes, without a
// container engine: its file system has what the stage copies and no more, its user
// and environment are those of the stage, and its network is its own.
func TestContainer(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may change the root directory, the user and the network of a process")
	}
	for _, tool := range []string{"unshare", "nsenter", "ip", "chroot"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s (util-linux, iproute2, coreutils) is not installed", tool)
		}
	}
	stage := lastStage(t)
	root := t.TempDir()
	program, err := os.ReadFile(built(t))
	if err != nil {
		t.Fatal(err)
	}
	public, err := newWorld(t).vendor.Public().MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{stage.entry: program, stage.env["MUSTER_VENDOR_KEY"]: public} {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(root, stage.volume)
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(data, stage.uid, stage.uid); err != nil {
		t.Fatal(err)
	}
	for dir := root; dir != os.TempDir(); dir = filepath.Dir(dir) { // the way to it is open to that user
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	inside := fmt.Sprintf("exec chroot --userspec=%d:%d %s %s ", stage.uid, stage.uid, root, stage.entry)
	command := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin"}
		for name, value := range stage.env {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		return cmd
	}
	server := command("unshare", "--net", "sh", "-c", "ip link set lo up && "+inside+stage.command)
	var said logBuffer
	server.Stderr = &said
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "ready" {
		fmt.Fprintln(&said, lines.Text())
	}
	status, err := command("nsenter", "-t", fmt.Sprint(server.Process.Pid), "-n", "sh", "-c", inside+"status").CombinedOutput()
	if err != nil || !regexp.MustCompile(`(?m)^binding +key$`).Match(status) || !regexp.MustCompile(`(?m)^state +serving$`).Match(status) {
		t.Errorf("status: %v\n%s", err, status)
	}
	_ = server.Process.Signal(syscall.SIGTERM)
	for lines.Scan() {
	}
	if err := server.Wait(); err != nil || !strings.Contains(said.String(), "https://") {
		t.Errorf("it ended with %v:\n%s", err, &said)
	}
}

// container is what an image says of its processes.
type container struct {
	entry, command, volume string
	uid                    int
	env                    map[string]string
}

// lastStage reads the last stage of the Dockerfile.
func lastStage(t *testing.T) (c container) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	c.env = map[string]string{}
	_, stage, _ := strings.Cut(string(text), "FROM scratch\n")
	for line := range strings.Lines(stage) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "USER":
			fmt.Sscan(rest, &c.uid)
		case "VOLUME":
			c.volume = rest
		case "ENTRYPOINT":
			c.entry = strings.Trim(rest, `[]"`)
		case "CMD":
			c.command = strings.Trim(rest, `[]"`)
		case "ENV":
			for setting := range strings.FieldsSeq(rest) {
				name, value, _ := strings.Cut(setting, "=")
				c.env[name] = value
			}
		}
	}
	if c.uid == 0 || c.volume == "" || c.entry == "" || c.command == "" || c.env["MUSTER_VENDOR_KEY"] == "" {
		t.Fatalf("the last stage of the Dockerfile says %+v", c)
	}
	return c
}

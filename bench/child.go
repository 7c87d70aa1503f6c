package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Child is a process under test, with what the kernel says it spends.
type Child struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // after ended
}

// startChild starts a program, pinned to a CPU unless cpu is negative, and
// calls line for every line it prints until that returns true: then it is up.
func startChild(cmd *exec.Cmd, cpu int, line func(string) (up bool)) (*Child, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	ownGroup(cmd)
	if err := pinned(cpu, cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	c := &Child{cmd: cmd, ended: make(chan struct{})}
	lines := bufio.NewScanner(out)
	up := false
	for !up && lines.Scan() {
		up = line(lines.Text())
	}
	go func() {
		_, _ = io.Copy(io.Discard, out) // what follows is not for us
		c.err = cmd.Wait()
		close(c.ended)
	}()
	if !up {
		<-c.ended
		return nil, fmt.Errorf("%s ended before it was up: %w", cmd.Path, errors.Join(c.err, lines.Err()))
	}
	return c, nil
}

// StartReady starts a command that prints "ready WHAT" when it is up, such as a bare
// echo with the address where it listens, and returns that.
func StartReady(cpu int, words ...string) (*Child, string, error) {
	var addr string
	child, err := startChild(exec.Command(words[0], words[1:]...), cpu, func(line string) bool {
		text, up := strings.CutPrefix(line, "ready ")
		addr = text
		return up
	})
	return child, addr, err
}

// PID is the process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (c *Child) Ended() <-chan struct{} { return c.ended }

// Err says how the process ended, nil for exit status 0. Read it after Ended.
func (c *Child) Err() error { return c.err }

// Kill ends the process as a power cut would, and waits for its end.
func (c *Child) Kill() {
	killGroup(c.cmd)
	<-c.ended
}

// Stop asks the process to end and waits; after the timeout it is killed.
func (c *Child) Stop(timeout time.Duration) error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		c.Kill() // a system without signals
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	select {
	case <-c.ended:
		return c.err
	case <-ctx.Done():
		c.Kill()
		return fmt.Errorf("did not stop within %v and was killed", timeout)
	}
}

// clockTick is the unit of CPU time in /proc, the same on all Linux systems.
const clockTick = 10 * time.Millisecond

// CPU is the processor time that the process has used, user and system; 0 where
// there is no /proc.
func (c *Child) CPU() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.PID()))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name may hold blanks
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * clockTick
}

// RSS is the process's resident memory in bytes; 0 where there is no /proc.
func (c *Child) RSS() int64 {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", c.PID()))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(statm))
	if len(f) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// checkInScript is a device's report as one would write it for Redis: the last
// sequence is compared, the quota checked, the use counted, the device marked
// active in the slot, every time, as muster does. Keys: the device, the item, the
// active devices. Arguments: sequence, slot, uses. It answers the sequence, or an
// error.
const checkInScript = `local seq, last = tonumber(ARGV[1]), tonumber(redis.call('HGET', KEYS[1], 'seq') or '0')
if seq <= last then return last end
if seq > last + 1 then return redis.error_reply('expected ' .. (last + 1)) end
local item = redis.call('HMGET', KEYS[2], 'quota', 'uses')
if tonumber(item[2]) + tonumber(ARGV[3]) > tonumber(item[1]) then return redis.error_reply('limit exceeded') end
redis.call('HSET', KEYS[1], 'seq', seq)
redis.call('HINCRBY', KEYS[2], 'uses', ARGV[3])
redis.call('ZADD', KEYS[3], ARGV[2], KEYS[1])
return seq`

// redis is a Redis server as a child process, with the script loaded. Its
// commands are written here and not by a client library: the load must not be
// what bounds the rate.
type redis struct {
	*Child
	addr string
	sha  string
}

// startRedis starts Redis with an append-only file that is synced "always" or
// "everysec".
func startRedis(ctx context.Context, dir, sync string) (*redis, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("redis-server is not installed (Debian: apt-get install redis-server): %w", err)
	}
	home, err := os.MkdirTemp(dir, "redis-")
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // for a free port
	if err != nil {
		return nil, err
	}
	r := &redis{addr: l.Addr().String()}
	_, port, _ := net.SplitHostPort(r.addr)
	if err := l.Close(); err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "--bind", "127.0.0.1", "--port", port, "--dir", home, "--save", "", "--appendonly", "yes", "--appendfsync", sync)
	cmd.Stderr = os.Stderr
	if r.Child, err = startChild(cmd, serverCPU, func(line string) bool { return strings.Contains(line, "Ready to accept connections") }); err != nil {
		return nil, err
	}
	r.sha, err = r.call(ctx, "SCRIPT", "LOAD", checkInScript)
	if err == nil {
		_, err = r.call(ctx, "HSET", redisItem, "quota", "1000000000", "uses", "0")
	}
	if err != nil {
		r.Kill()
		return nil, fmt.Errorf("redis: %w", err)
	}
	return r, nil
}

const redisItem, redisActive = "item:1", "active:1"

// appendCommand appends a command in Redis's protocol.
func appendCommand(out []byte, words ...string) []byte {
	out = append(strconv.AppendInt(append(out, '*'), int64(len(words)), 10), "\r\n"...)
	for _, w := range words {
		out = append(strconv.AppendInt(append(out, '$'), int64(len(w)), 10), "\r\n"...)
		out = append(append(out, w...), "\r\n"...)
	}
	return out
}

// call makes one call whose answer is a string or a number.
func (r *redis) call(ctx context.Context, words ...string) (string, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := conn.Write(appendCommand(nil, words...)); err != nil {
		return "", err
	}
	in := bufio.NewReader(conn)
	line, err := redisLine(in)
	if err == nil && line[0] == '$' { // the string is in the next line
		return redisText(in)
	}
	if err != nil {
		return "", err
	}
	return line[1:], nil
}

func redisText(in *bufio.Reader) (string, error) {
	line, err := in.ReadSlice('\n')
	return strings.TrimSuffix(string(line), "\r\n"), err
}

// redisLine reads a line of an answer; an error of Redis is one here.
func redisLine(in *bufio.Reader) (string, error) {
	line, err := redisText(in)
	switch {
	case err != nil:
		return "", err
	case line == "":
		return "", errors.New("an empty line")
	case line[0] == '-':
		return "", errors.New(line[1:])
	}
	return line, nil
}

// redisPipe are devices behind one connection, reporting in turn.
type redisPipe struct {
	sha     string
	devices []redisDevice
	next    int // that reports
	answers int // next that is answered
	slot    string
}

type redisDevice struct {
	key            string
	sent, answered int64
}

func newRedisPipe(sha string, connection, devices int) *redisPipe {
	p := &redisPipe{sha: sha, slot: fmt.Sprint(slotNow(time.Now())), devices: make([]redisDevice, devices)}
	for i := range p.devices {
		p.devices[i].key = fmt.Sprintf("device:%08x-%08x", connection, i)
	}
	return p
}

func (p *redisPipe) append(out []byte) []byte {
	d := &p.devices[p.next]
	p.next = (p.next + 1) % len(p.devices)
	d.sent++
	return appendCommand(out, "EVALSHA", p.sha, "3", d.key, redisItem, redisActive, strconv.FormatInt(d.sent, 10), p.slot, "1")
}

// read takes one answer, which must be the sequence that was sent.
func (p *redisPipe) read(in *bufio.Reader) error {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return err
	}
	d := &p.devices[p.answers]
	p.answers = (p.answers + 1) % len(p.devices)
	d.answered++
	if got, err := strconv.ParseInt(string(line[1:max(len(line)-2, 1)]), 10, 64); err != nil || line[0] != ':' || got != d.answered {
		return fmt.Errorf("redis answered %q, expected :%d", line, d.answered)
	}
	return nil
}

// redis lets as many devices as a fleet has report to a new Redis, and audits
// that it counted what it acknowledged.
func (l *Lab) redis(ctx context.Context, sync string, conns, depth int) (f Figures, err error) {
	r, err := startRedis(ctx, l.Site.Dir, sync)
	if err != nil {
		return f, err
	}
	defer r.Kill()
	if f, err = l.pipelines(ctx, r.Child, r.addr, conns, depth, func(i int) pipe { return newRedisPipe(r.sha, i, l.Devices/conns) }); err != nil {
		return f, err
	}
	uses, err := r.call(ctx, "HGET", redisItem, "uses")
	if err == nil && uses != fmt.Sprint(f.Requests) {
		err = fmt.Errorf("redis counted %s uses and acknowledged %d", uses, f.Requests)
	}
	return f, err
}

package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"muster/storage/journal"
)

// partial is added to the name of a backup that is not complete.
const partial = ".partial"

func (a *apiFlags) backupCommand() *cobra.Command {
	return a.command("backup FILE", "Back up a running server: all that it knows, and its keys", cobra.ExactArgs(1), func(s *session, args []string) error {
		path := args[0]
		if exists(path) {
			return usageError("%s is there already: name a new file", path)
		}
		f, err := os.OpenFile(path+partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		n, err := s.download(apiPath("backup"), f)
		if err == nil {
			err = f.Sync()
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return errors.Join(err, os.Remove(path+partial))
		}
		if err := os.Rename(path+partial, path); err != nil {
			return err
		}
		if err := journal.Dir(filepath.Dir(path)).SyncDir(); err != nil {
			return err
		}
		fmt.Fprintf(s.out, "%s: %.1f MB. It holds the server's private keys: keep it as you keep a password.\n", path, float64(n)/1e6)
		return nil
	})
}

// download reads an answer into w, however long that takes, and shows how far it is.
func (s *session) download(path string, w io.Writer) (n int64, err error) {
	r, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.base+path, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	patient := *s.http
	patient.Timeout = 0
	answer, err := patient.Do(r)
	if err != nil {
		return 0, s.unreachable(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		if s.raw, err = io.ReadAll(io.LimitReader(answer.Body, apiAnswerMax)); err != nil {
			return 0, err
		}
		return 0, s.refused(answer)
	}
	p := &progress{to: w, told: time.Now(), out: s.notice}
	if n, err = io.Copy(p, answer.Body); err != nil {
		return n, fmt.Errorf("the answer of %s broke off after %.1f MB: %w; the server's log says why", s.base, float64(n)/1e6, err)
	}
	return n, nil
}

// progress says every second how much went through it.
type progress struct {
	to   io.Writer
	n    int64
	told time.Time
	out  io.Writer
}

func (p *progress) Write(b []byte) (int, error) {
	n, err := p.to.Write(b)
	p.n += int64(n)
	if time.Since(p.told) > time.Second {
		p.told = time.Now()
		fmt.Fprintf(p.out, "%.1f MB\n", float64(p.n)/1e6)
	}
	return n, err
}

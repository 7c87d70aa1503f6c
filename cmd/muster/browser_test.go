package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a real browser on the portal of a world. What no page may do makes
// its test fail: an error on the console, a script that throws, a request to
// another origin.
type browser struct {
	t      *testing.T
	origin string
	ctx    context.Context

	mu     sync.Mutex
	faults []string
	awaits string // a fault that the test brings about, see expect
}

// browserTime bounds a whole journey.
const browserTime = 90 * time.Second

// newBrowser starts chromium. Where there is none the test is skipped, unless
// MUSTER_BROWSER=required says that there has to be one.
func newBrowser(t *testing.T, w *world) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" && os.Getenv("MUSTER_BROWSER") == "required" {
		t.Fatal("no chromium is installed, and MUSTER_BROWSER=required")
	}
	if path == "" {
		t.Skip("no chromium is installed: the portal is not looked at with a browser (Debian: apt-get install chromium)")
	}
	b := &browser{t: t, origin: w.p.url}
	ctx, cancel := context.WithTimeout(context.Background(), browserTime)
	t.Cleanup(cancel)
	b.ctx, cancel = chromedp.NewContext(ctx, chromedp.WithListener(b.watch), chromedp.WithAllocatorOptions(
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(1280, 900),
		chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("ignore-certificate-errors-spki-list", ownKey(t, w)),
	))
	t.Cleanup(cancel)
	if err := chromedp.Do(b.ctx, chromedp.Navigate("about:blank")); err != nil { // the browser lives as long as this context
		t.Fatal(err)
	}
	t.Cleanup(b.faultless)
	return b
}

// ownKey is the hash of the key in the certificate that a server made for itself,
// by which a browser trusts this one and no other; "" without TLS.
func ownKey(t *testing.T, w *world) string {
	t.Helper()
	if !w.config.AdminTLS {
		return ""
	}
	pair, err := tls.LoadX509KeyPair(w.p.path(certFile), w.p.path(certKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(pair.Leaf.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// watch takes note of faults.
func (b *browser) watch(event any) {
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError {
			b.fault("console: %s", e.Args[0].Value)
		}
	case *runtime.EventExceptionThrown:
		b.fault("exception: %s", e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			b.fault("log: %s %s", e.Entry.Text, e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err != nil || u.Scheme != "data" && u.Scheme != "about" && u.Scheme+"://"+u.Host != b.origin {
			b.fault("request to another origin: %s", e.Request.URL)
		}
	}
}

func (b *browser) fault(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if text := fmt.Sprintf(format, args...); b.awaits == "" || !strings.Contains(text, b.awaits) {
		b.faults = append(b.faults, text)
	}
}

// expect lets a fault with a text pass, while f runs.
func (b *browser) expect(text string, f func()) {
	set := func(text string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.awaits = text
	}
	set(text)
	f()
	set("")
}

func (b *browser) faultless() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, fault := range b.faults {
		b.t.Error(fault)
	}
}

// actionTime bounds a single step.
const actionTime = 15 * time.Second

// do runs actions that must succeed.
func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	result(b, chromedp.Steps(actions...))
}

// result is what an action comes to.
func result[T any](b *browser, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, actionTime)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatalf("%v, at %s", err, b.state())
	}
	return v
}

// eval is the value of an expression.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	return result(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// state is what the browser shows, for a test that fails.
func (b *browser) state() string {
	ctx, cancel := context.WithTimeout(b.ctx, 3*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href + ':\\n' + document.body.innerText.slice(0, 2000)"))
	return fmt.Sprint(text, err)
}

// open goes to a page, named from the portal's root.
func (b *browser) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.origin+"/"+path), chromedp.WaitReady(chromedp.CSS("#main")))
}

func (b *browser) click(selector string) {
	b.t.Helper()
	b.do(chromedp.ScrollIntoView(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// fill puts a text into a field, in place of what stands there.
func (b *browser) fill(selector, text string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelector(%q).value = ""`, selector)), chromedp.SendKeys(chromedp.CSS(selector), text))
}

// sees waits until the page shows a text, over navigations.
func (b *browser) sees(text string) {
	b.t.Helper()
	b.holds(fmt.Sprintf(`document.body.innerText.replaceAll("\u00a0", " ").includes(%q)`, text))
}

// holds waits until an expression is true.
func (b *browser) holds(expression string) {
	b.t.Helper()
	for end := time.Now().Add(actionTime); ; {
		ctx, cancel := context.WithTimeout(b.ctx, actionTime)
		ok, _ := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!(document.body && "+expression+")"))
		cancel()
		if ok {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("%s does not hold at %s", expression, b.state())
		}
		time.Sleep(20 * time.Millisecond) // an error: the page is on its way
	}
}

// logIn logs in with an account.
func (b *browser) logIn(name, password string) {
	b.t.Helper()
	b.open("login")
	b.fill("#login-name", name)
	b.fill("#login-password", password)
	b.click("form[action=login] button")
	b.holds(`document.querySelector(".shell")`)
}

package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

var screenshots = flag.String("screenshots", "", "directory for screenshots of every page of the portal; empty: none are made")

// shots are the pages of docs/img, by file name.
func (s *showcase) shots() map[string]string {
	return map[string]string{
		"home": "", "items": "items", "item": "items/100001/readers", "import": "items/import", "projects": "projects", "project": "projects/" + s.projects[0],
		"statistics": "statistics", "concurrency": "statistics?measure=concurrency&item=100001/floor", "day": "statistics/day?project=" + s.projects[0], "audit": "audit",
		"devices": "devices?item=100001/floor", "device": "devices/" + s.device1, "security": "security",
	}
}

// TestScreenshots makes the pictures of docs/PORTAL.md: "make screenshots".
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("no directory is given for them: make screenshots")
	}
	s := newShowcase(t)
	b := newBrowser(t, s.world)
	b.logIn("admin", showcasePassword)
	for _, theme := range []string{"light", "dark"} {
		b.theme(theme)
		for name, path := range s.shots() {
			b.do(chromedp.EmulateViewport(1280, 900))
			b.open(path)
			b.shoot(filepath.Join(*screenshots, name+"-"+theme+".png"))
		}
	}
}

// theme makes the browser prefer light or dark pages.
func (b *browser) theme(theme string) {
	b.t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, media); err != nil {
		b.t.Fatal(err)
	}
}

// shoot makes a picture of the whole page.
func (b *browser) shoot(path string) {
	b.t.Helper()
	eval[bool](b, `document.fonts.ready.then(() => new Promise((shown) => requestAnimationFrame(() => shown(true))))`)
	height := eval[int64](b, `Math.max(document.querySelector(".main").scrollHeight, 760)`)
	b.do(chromedp.EmulateViewport(1280, height))
	if err := os.WriteFile(path, result(b, chromedp.CaptureScreenshot()), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

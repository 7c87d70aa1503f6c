package main

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"muster/license"
)

var screenshots = flag.String("screenshots", "", "directory for screenshots of every page of the portal; empty: none are made")

// shots are the pages of docs/img, by file name.
func (s *showcase) shots() map[string]string {
	return map[string]string{
		"home": "", "items": "items", "item": "items/100001/readers", "import": "items/import", "projects": "projects",
		"project": "projects/" + s.projects[0], "statistics": "statistics", "concurrency": "statistics?measure=concurrency&item=100001/floor",
		"day": "statistics/day?project=" + s.projects[1], "devices": "devices?item=100001/floor", "device": "devices/" + s.device1,
		"alerts": "alerts", "audit": "audit", "security": "security",
	}
}

// TestScreenshots makes the pictures of docs/PORTAL.md: "make screenshots".
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("no directory is given for them: make screenshots")
	}
	s := newShowcase(t)
	s.tellByMailAndWebhook()
	file := filepath.Join(t.TempDir(), "acme.lic")
	if err := os.WriteFile(file, s.licenseFile("100001", "200001", 2, s.revised()...), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, s.world)
	for _, theme := range []string{"light", "dark"} {
		b.theme(theme)
		b.shoot("login", "login-"+theme, 1280)
		b.logIn("admin", showcasePassword)
		b.open("alerts")
		for !strings.Contains(eval[string](b, `document.body.innerText`), "delivered") { // by both channels, in the background
			b.open("alerts")
		}
		for name, path := range s.shots() {
			b.shoot(path, name+"-"+theme, 1280)
		}
		b.open("items")
		b.drop(file)
		b.sees("A newer revision")
		b.shoot(shown, "preview-"+theme, 1280)
		b.shoot("items", "phone-"+theme, 390)
		b.click("[data-menu]")
		b.click("button[aria-label='Log out']")
		b.sees("Log in")
	}
}

// revised are the items of a revision that a vendor could send: more readers, an
// item more.
func (s *showcase) revised() [][]license.Field {
	list := append(s.items(), terms("kiosks", "DBR", "device-monthly", "12", 365, license.Field{Name: "Description", Value: "Self-service kiosks"}))
	list[0][3].Value = "40"
	return list
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

// shown stands for the page that is open.
const shown = "."

// shoot makes a picture of a whole page.
func (b *browser) shoot(path, name string, width int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, 760))
	if path != shown {
		b.open(path)
	}
	b.capture(*screenshots, name, width)
}

// capture makes a picture of the page that is open.
func (b *browser) capture(dir, name string, width int64) {
	b.t.Helper()
	eval[bool](b, `document.fonts.ready.then(() => true)`)
	height := eval[int64](b, `Math.max(document.querySelector(".main, .bare").scrollHeight + (innerWidth < 600 ? 60 : 0), 760)`)
	b.do(chromedp.EmulateViewport(width, min(height, 2400)))
	eval[bool](b, `new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn(true))))`)
	picture, err := png.Decode(bytes.NewReader(result(b, chromedp.CaptureScreenshot())))
	if err != nil {
		b.t.Fatal(err)
	}
	var small bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, paletted(picture)); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), small.Bytes(), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// paletted is a picture in 256 colors: pages have few, and it takes a third of the
// bytes. Half are the most frequent ones; the others are those unlike any before, so
// that a small thing keeps its color too.
func paletted(picture image.Image) image.Image {
	counts := map[color.RGBA]int{}
	bounds := picture.Bounds()
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA) }
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[at(x, y)]++
		}
	}
	palette := paletteOf(counts)
	out, places := image.NewPaletted(bounds, palette), map[color.RGBA]uint8{}
	for c := range counts {
		places[c] = uint8(palette.Index(c))
	}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			out.SetColorIndex(x, y, places[at(x, y)])
		}
	}
	return out
}

func paletteOf(counts map[color.RGBA]int) (palette color.Palette) {
	colors := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int { return counts[b] - counts[a] })
	frequent := min(len(colors), 128)
	seen := map[[3]uint8]bool{}
	for i, c := range colors {
		cell := [3]uint8{c.R >> 4, c.G >> 4, c.B >> 4}
		if i < frequent || !seen[cell] && len(palette) < 256 {
			palette = append(palette, c)
		}
		seen[cell] = true
	}
	return palette
}

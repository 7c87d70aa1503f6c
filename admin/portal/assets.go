package portal

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"

	"muster/internal/uplot"
)

//go:embed assets/app.js assets/app.css assets/mark.svg assets/kept assets/icons
var assetFiles embed.FS

//go:embed templates
var templateFiles embed.FS

// asset is a file that browsers fetch, as it is and compressed.
type asset struct {
	contentType string
	plain       []byte
	small       func() []byte // made when it is asked for, not while the server starts; nil: there is none
}

// assets are all of them. Their address holds a hash of them all, so that browsers
// keep them for ever and never mix two versions; they find each other by relative
// addresses.
type assets struct {
	hash  string
	files map[string]*asset // by the path below assets/
}

// kept are the assets of this build; they are made at the first use.
var kept = sync.OnceValue(func() *assets {
	a := &assets{files: map[string]*asset{}}
	sum := sha256.New()
	add := func(name string, data []byte) {
		sum.Write([]byte(name))
		sum.Write(data)
		a.files[strings.TrimPrefix(name, "assets/")] = newAsset(name, data)
	}
	add("assets/kept/uplot.js", uplot.Script)
	add("assets/kept/uplot.css", uplot.Style)
	err := fs.WalkDir(assetFiles, "assets", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := assetFiles.ReadFile(name)
		if err == nil {
			add(name, data)
		}
		return err
	})
	if err != nil {
		panic("portal: an embedded file does not read: " + err.Error())
	}
	a.hash = hex.EncodeToString(sum.Sum(nil)[:6])
	return a
})

func newAsset(name string, data []byte) *asset {
	a := &asset{contentType: mime.TypeByExtension(path.Ext(name)), plain: data}
	switch path.Ext(name) {
	case ".js":
		a.contentType = "text/javascript; charset=utf-8"
	case ".woff2":
		a.contentType = "font/woff2"
		return a // compressed already
	}
	a.small = sync.OnceValue(func() []byte {
		var small bytes.Buffer
		w, _ := gzip.NewWriterLevel(&small, gzip.BestCompression)
		_, _ = w.Write(data) // to memory
		_ = w.Close()
		return small.Bytes()
	})
	return a
}

// address is where a file is fetched, relative to the portal's root.
func (a *assets) address(name string) string { return "static/" + a.hash + "/" + name }

// serve answers with a file. An address with another hash is of another version,
// and what it would get must not be kept under that name.
func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	file := a.files[r.PathValue("file")]
	if file == nil || r.PathValue("hash") != a.hash {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", file.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Add("Vary", "Accept-Encoding")
	data := file.plain
	if file.small != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		data = file.small()
	}
	h.Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data)
}

// icon is one of the kept icons, inline; it says nothing to a screen reader, so
// there are words beside it, or on what it stands in.
func (a *assets) icon(name string) template.HTML {
	file := a.files["icons/"+name+".svg"]
	if file == nil {
		panic("portal: no icon " + name)
	}
	text := strings.ReplaceAll(string(file.plain), "\n", " ")
	_, text, _ = strings.Cut(text, ">")
	fill, stroke := "none", "currentColor"
	if strings.HasSuffix(name, "-filled") {
		fill, stroke = "currentColor", "none"
	}
	return template.HTML(`<svg class="icon" viewBox="0 0 24 24" fill="` + fill + `" stroke="` + stroke +
		`" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">` + text)
}

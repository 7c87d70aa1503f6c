package sim

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// plant is a known bug: its name, a file of the product, and texts in it with
// what replaces them.
type plant []string

// plants are bugs that lose what was acknowledged or count it twice.
var plants = []plant{
	{
		"answer before the entry is durable", "engine/server/cycle.go",
		"	y.commit()\n	if y.err != nil {\n		return y.err\n	}\n	for _, w := range work {", "	early = work\n	y.commit()\n	for _, w := range early {",
		"	index, err := y.journal.Append(", "	if grants {\n		<-y.signed\n		grants = false\n	}\n	for _, w := range early {\n		w.Answer()\n	}\n	early = nil\n	index, err := y.journal.Append(",
		"	y.stepCheckpoint()\n	return nil\n}", "	y.stepCheckpoint()\n	return y.err\n}\n\nvar early []Work",
	},
	{
		"append without sync", "storage/journal/journal.go",
		"	if err := j.file.Sync(); err != nil {\n		return 0, j.poison(\"sync\", err)\n	}\n	j.at =", "	j.at =",
	},
	{
		"answer although the sync failed", "storage/journal/journal.go",
		"		return 0, j.poison(\"sync\", err)\n	}\n	j.at =", "	}\n	j.at =",
	},
	{
		"sequence outside the entry: replay does not bring it back", "engine/apply.go",
		"	d.lastSeq, d.lastTag, d.project, d.lastSeen = e.seq,", "	if !c.live {\n		return\n	}\n	d.lastSeq, d.lastTag, d.project, d.lastSeen = e.seq,",
	},
	{
		"checkpoint one entry short", "storage/checkpoint.go",
		"c.manifest.begin, start.Index\n", "c.manifest.begin, start.Index+1\n",
	},
	{
		"page copied ahead of the journal", "engine/server/cycle.go",
		"	y.commit()\n	if y.err != nil {\n		return y.err\n	}\n	for _, w", "	y.stepCheckpoint()\n	y.commit()\n	if y.err != nil {\n		return y.err\n	}\n	for _, w",
	},
	{
		"replay applied twice to pages of a checkpoint", "engine/pages.go",
		"	if t.loaded != nil && index <= t.loaded[p] {\n		return unsafe.Pointer(&t.trash)", "	if t.loaded != nil && index < t.loaded[p] {\n		return unsafe.Pointer(&t.trash)",
	},
	{
		"a checkpoint leaves a page out", "storage/checkpoint.go",
		"		if c.err == nil {\n			c.err = c.writePages(", "		if c.err == nil && n > 8 {\n			c.err = c.writePages(",
	},
	{
		"journal released too early", "storage/checkpoint.go",
		"c.release(c.manifest.previous + 1)", "c.release(c.manifest.begin + 1000)",
	},
	{
		"a resent change counts again", "engine/streams.go",
		"	case r.Seq > d.lastSeq:\n		return standsAhead", "	case r.Seq == d.lastSeq && r.Tag == d.lastTag && r.Tag%4 == 0:\n		return standsNext\n	case r.Seq > d.lastSeq:\n		return standsAhead",
	},
	{
		"an operator's edit that is not in the journal", "engine/objects.go",
		"	c.body = e.append(c.body)\n	c.applyObject(&e)", "	if key.Kind != ObjectProject {\n		c.body = e.append(c.body)\n	}\n	c.applyObject(&e)",
	},
	{
		"an operator's edit that a checkpoint leaves out", "engine/checkpoint.go",
		"			o.dirty = false\n", "			o.dirty = false\n			if key.Kind == ObjectProject && o.index%3 == 0 {\n				continue\n			}\n",
	},
	{
		"the spool replaces a file without sync", "internal/files/files.go",
		"	if err == nil {\n		err = f.Sync()\n	}\n", "",
	},
	{
		"the spool replaces a file without sync of the directory", "internal/files/files.go",
		"	return d.SyncDir(filepath.Dir(path))\n}\n\n// MakeDir", "	return nil\n}\n\n// MakeDir",
	},
	{
		"the spool removes a sheet before the report is kept", "client/spool/folder.go",
		"	f.spent = append(f.spent, sheetName(f.sheets[0].Number))\n", "	_ = f.disk.Remove(f.file(sheetName(f.sheets[0].Number)))\n",
	},
	{
		"a sheet that was taken counts again", "client/spool/folder.go",
		"number <= f.kept.Taken:", "number < f.kept.Taken:",
	},
	{
		"the client sends before it keeps", "client/queue.go",
		"		if err := c.store(); err != nil {\n			return err\n		}\n		a, err", "		a, err",
	},
}

// TestPlantedBugs builds the product with one known bug at a time and wants the
// simulation to find it.
func TestPlantedBugs(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the product a dozen times")
	}
	if raceFactor > 1 {
		t.Skip("the simulation under the race detector is TestSimulation")
	}
	for _, p := range plants {
		t.Run(p[0], p.mustBeCaught)
	}
}

var simFinding = regexp.MustCompile(`after \d+ seeds and [^:]+: seed .*`)

func (p plant) mustBeCaught(t *testing.T) {
	path := must(filepath.Abs(filepath.Join("..", p[1])))
	source := string(must(os.ReadFile(path)))
	for edit := range slices.Chunk(p[2:], 2) {
		if n := strings.Count(source, edit[0]); n != 1 {
			t.Fatalf("%s has changed: the text %q stands there %d times", p[1], edit[0], n)
		}
		source = strings.Replace(source, edit[0], edit[1], 1)
	}
	dir := t.TempDir()
	patched, overlay := filepath.Join(dir, "patched.go"), filepath.Join(dir, "overlay.json")
	write := func(path string, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(patched, []byte(source))
	write(overlay, must(json.Marshal(map[string]map[string]string{"Replace": {path: patched}})))
	out, err := exec.Command("go", "test", "-overlay", overlay, "-count=1", "-vet=off", "-run", "^TestSimulation$", "-seeds", "400", ".").CombinedOutput()
	found := simFinding.Find(out)
	if err == nil || found == nil {
		t.Fatalf("not caught: %v\n%s", err, out)
	}
	t.Logf("%s", found)
}

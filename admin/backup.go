package admin

import (
	"net/http"
	"time"
)

func (a *Admin) backupRoutes() []route {
	return []route{
		{method: "GET", path: "/api/v1/backup", scope: ScopeWrite, handle: a.sendBackup,
			doc: doc{"Back the data directory up while it is served; the backup holds the server's private keys", nil, zstdFile, []int{200}}},
	}
}

// sendBackup streams a backup [OPS-5]. One that fails on the way breaks the
// connection off, so that nobody takes what came for whole.
func (a *Admin) sendBackup(w http.ResponseWriter, _ *http.Request) error {
	if _, err := a.catalog(); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/zstd")
	w.Header().Set("Content-Disposition", `attachment; filename="muster-backup.tar.zst"`)
	if err := a.Backup(&patient{w, http.NewResponseController(w)}); err != nil {
		a.Log.Error("a backup broke off; what came of it is not whole, take another", "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// patient writes with as much time for every part as others have for a whole
// answer.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (p *patient) Write(b []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(time.Minute))
	return p.ResponseWriter.Write(b)
}

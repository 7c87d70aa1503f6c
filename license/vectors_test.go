package license

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
)

// The vectors of what devices get from this package stand beside those of the
// wire: whoever writes a client in another language needs both. -update-license
// writes them anew.
func goldenVectors(t *testing.T, name string, vectors any) {
	t.Helper()
	text, err := json.MarshalIndent(vectors, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("..", "..", "protocol", "testdata", "vectors", name+".json"), append(text, '\n'))
}

// object is a JSON object; its keys are sorted when it is written.
type object = map[string]any

// octets are bytes in hexadecimal.
type octets []byte

func (o octets) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(o)), nil }

// A grant with its proof, and every value on the way from the vendor's key. [CLI-2]
func TestGrantVectors(t *testing.T) {
	w := newGrantWorld(t)
	proof, err := w.proof.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.proof.Verify(w.signed(2), grantClient, grantWanted, ringOf(t, acmeKey())); err != nil {
		t.Fatal(err)
	}
	uuid := w.proof.Server.UUID()
	goldenVectors(t, "grant", object{
		"vendor":      object{"key_id": acmeKey().ID, "public_key": octets(acmeKey().Public().Key)},
		"client_uuid": octets(grantClient[:]),
		"signed":      octets(w.signed(2)),
		"proof":       octets(proof),
		"known_proof": fmt.Sprintf("%016x", ProofID(proof)),
		"grant":       grantVector(&w.grants[2]),
		"leaf":        octets(w.leaves[2]),
		"batch":       object{"statement": octets(w.batch.Statement()), "root": octets(w.batch.Root[:])},
		"server": object{
			"uuid": octets(uuid[:]), "uuid_text": uuid.String(),
			"signing_key": octets(w.proof.Server.SigningKey), "handshake_key": octets(w.proof.Server.HandshakeKey[:]),
		},
		"certificate": certificateVector(&w.proof.Certificate),
	})
}

func grantVector(g *Grant) object {
	var modules []object
	for _, m := range g.Modules {
		modules = append(modules, object{"ordinal": m.Ordinal, "name": m.Name})
	}
	return object{
		"project": g.Project, "license_id": g.LicenseID, "item_id": g.ItemID, "revision": g.Revision, "item": g.Item,
		"charge_way": uint8(g.ChargeWay), "flags": uint8(g.Flags), "instances": g.Instances, "issued": g.Issued,
		"active_until": g.ActiveUntil, "boot_clock": g.BootClock, "modules": modules,
	}
}

func certificateVector(c *Certificate) object {
	root, err := RootFromPath(LeafHash(c.License), 0, c.Size, c.LicensePath)
	if err != nil {
		panic(err) // it verified before
	}
	return object{
		"license_leaf": octets(c.License), "item_leaf": octets(c.Item), "item_index": c.ItemIndex, "size": c.Size,
		"root": octets(root[:]), "message": octets(certificateMessage(root, c.Size)), "signature": octets(c.Signature),
	}
}

// A license key with all that it can hold. [PRJ-3]
func TestLicenseKeyVectors(t *testing.T) {
	k := exampleKey()
	var addresses []object
	for _, a := range k.Addresses {
		addresses = append(addresses, object{
			"transport": a.Transport, "host_port": a.HostPort, "standby": a.Standby, "handshake_key": octets(a.HandshakeKey[:]),
		})
	}
	body := k.appendBinary(nil)
	goldenVectors(t, "license_key", object{
		"string": k.String(), "binary": octets(body), "checksum": fmt.Sprintf("%08x", binary.BigEndian.Uint32(body[len(body)-4:])),
		"project_id": k.ProjectID, "organization_id": k.OrganizationID, "password": k.Password, "addresses": addresses,
	})
}

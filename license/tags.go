package license

// Frozen: the byte strings that set apart what is hashed or signed for one purpose from what is for another, so that no
// signature can be shown as something else. The closing zero byte keeps one tag from being the beginning of another.
const (
	tagFileText    = "muster license text 1\x00"
	tagCertificate = "muster license certificate 1\x00"
	tagVendorKeyID = "muster vendor key id 1\x00"
	tagServerUUID  = "muster server uuid 1\x00"
)

func tagged(tag string, parts ...[]byte) []byte {
	out := []byte(tag)
	for _, part := range parts {
		out = append(out, part...)
	}
	return out
}

package admin

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// Passwords of accounts are kept as argon2id hashes in PHC string form, with the
// parameters that OWASP's password storage cheat sheet names first.
const (
	argonMemory  = 19 << 10 // KiB
	argonTime    = 2
	argonThreads = 1
	argonSalt    = 16 // bytes
	argonHash    = 32 // bytes

	passwordMin = 10 // characters
	passwordMax = 256
)

// checkPassword refuses a new password that is too short or too long.
func checkPassword(password, field string) error {
	if n := utf8.RuneCountInString(password); n >= passwordMin && n <= passwordMax {
		return nil
	}
	return refusedField(http.StatusUnprocessableEntity, "weak-password", field, "a password has %d to %d characters; a few unrelated words make a good one", passwordMin, passwordMax)
}

// hashPassword hashes with a fresh salt. It takes tens of milliseconds and
// argonMemory: see passwordWork.
func hashPassword(password string) string {
	salt := make([]byte, argonSalt)
	rand.Read(salt)
	encode := base64.RawStdEncoding.EncodeToString
	hash := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonHash)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads, encode(salt), encode(hash))
}

// passwordMatches compares a password with a stored hash, whatever parameters
// it was made with.
func passwordMatches(phc, password string) bool {
	f := strings.Split(phc, "$")
	var version, memory, passes uint32
	var threads uint8
	if len(f) != 6 || f[1] != "argon2id" {
		return false
	}
	if _, err := fmt.Sscanf(f[2]+" "+f[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &passes, &threads); err != nil || version != argon2.Version {
		return false
	}
	salt, err := base64.RawStdEncoding.DecodeString(f[4])
	if err != nil {
		return false
	}
	want, err := base64.RawStdEncoding.DecodeString(f[5])
	if err != nil || len(want) == 0 {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, passes, memory, threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(want, got) == 1
}

// noPassword is a hash that no password has: names that do not exist take as
// long to refuse as those that do.
var noPassword = sync.OnceValue(func() string { return hashPassword(newSecret("")) })

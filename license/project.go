package license

import "strings"

// Limits of project ids [PRJ-1].
const (
	organizationIDMax = 32 // characters
	projectSuffixMax  = 64
)

// ValidProjectID reports whether s has the form {OrganizationID}-{suffix} of a project id; if not, a device gets error
// 105 [PRJ-1]. Both parts may hold hyphens, so the id alone does not say where the suffix begins.
func ValidProjectID(s string) bool {
	for i := range len(s) {
		if s[i] == '-' && ProjectBelongs(s, s[:i]) {
			return true
		}
	}
	return false
}

// ProjectBelongs reports whether projectID is a project id of that organization [PRJ-1].
func ProjectBelongs(projectID, organizationID string) bool {
	suffix, ok := strings.CutPrefix(projectID, organizationID+"-")
	return ok && token(organizationID, organizationIDMax, "_-") && token(suffix, projectSuffixMax, "_-")
}

//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package job

import "os"

// hold knows no locks here, so every try that has not ended counts as one that
// ended with its process.
func hold(*os.File) bool { return true }

// sh is busybox's shell, but `sh -c env` also shows variables such as `data-1`, which Debian's build of
// that shell drops and the one in upstream's image does not.
package main

import (
	"log"
	"os"
	"syscall"
)

func main() {
	argv := append([]string{"/bin/sh"}, os.Args[1:]...)
	if len(os.Args) == 3 && os.Args[1] == "-c" && os.Args[2] == "env" {
		argv = []string{"env"}
	}
	log.Fatal(syscall.Exec("/bin/busybox", argv, os.Environ()))
}

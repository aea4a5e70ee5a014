package isolate

import "golang.org/x/sys/unix"

var refusedHere = []uint32{unix.SYS_RENAMEAT}

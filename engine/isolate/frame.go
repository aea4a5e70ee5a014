//go:build linux && (amd64 || arm64)

package isolate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A frame is the length of its payload (4 bytes, little-endian), its kind, the number of
// descriptors that come with it, two spare bytes, and the payload.
const (
	// On the control socket, to the worker.
	frameProbe = 'A' // can the backend run here? A request in JSON
	frameLoad  = 'L' // ready a model. A request in JSON; descriptors: the model, its weights where they are its file's
	frameJoin  = 'J' // one more session of the model, whose socket comes along; payload: its number
	// On a session's socket, to the worker.
	frameRun   = 'R' // number of the run, then tensors in the input segment, which comes along when it is new
	frameSpace = 'S' // a new output segment
	// From the worker.
	frameHello  = 'H' // the first on the control socket
	frameOK     = 'O' // an answer in JSON
	frameOut    = 'T' // tensors in the output segment, then the session's note
	frameGrow   = 'G' // the output segment is to hold so many bytes
	frameFailed = 'E' // a failure in JSON
)

// maxFrame bounds a payload.
const maxFrame = 16 << 20

// errProtocol is of a peer that does not say what it should. Nothing that a worker says is
// believed before it is checked.
var errProtocol = errors.New("did not keep to the protocol of workers")

type frame struct {
	kind byte
	body []byte // valid until the link's next frame
	fds  []int
}

// close closes the descriptors that came with a frame and are not wanted.
func (f *frame) close() {
	for _, fd := range f.fds {
		unix.Close(fd)
	}
	f.fds = nil
}

// link is one end of a socket; used by one goroutine at a time.
type link struct {
	fd  int
	buf []byte
}

// pair is a connection: our end, and one to give away.
func pair() (ours, theirs int, err error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	return p[0], p[1], err
}

func (l *link) close() {
	if l.fd >= 0 {
		unix.Close(l.fd)
		l.fd = -1
	}
}

func (l *link) send(kind byte, body []byte, fds ...int) error {
	if len(body) > maxFrame {
		return fmt.Errorf("a message of %d bytes, %d at most", len(body), maxFrame)
	}
	l.buf = append(l.buf[:0], 0, 0, 0, 0, kind, byte(len(fds)), 0, 0)
	binary.LittleEndian.PutUint32(l.buf, uint32(len(body)))
	l.buf = append(l.buf, body...)
	for b := l.buf; len(b) > 0; {
		n, err := l.some(b, fds)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b, fds = b[n:], nil
	}
	return nil
}

// some sends the beginning of b. Without descriptors it makes no call by which they travel,
// which a worker may not.
func (l *link) some(b []byte, fds []int) (n int, err error) {
	if len(fds) > 0 {
		return unix.SendmsgN(l.fd, b, unix.UnixRights(fds...), nil, unix.MSG_NOSIGNAL)
	}
	sent, _, e := unix.Syscall6(unix.SYS_SENDTO, uintptr(l.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(sent), nil
}

// maxRights is how many descriptors a frame may bring.
const maxRights = 2

func (l *link) recv() (f frame, err error) {
	var head [8]byte
	var space [64]byte
	n, rights, err := l.begin(head[:], space[:unix.CmsgSpace(4*maxRights)])
	switch {
	case err != nil:
		return f, err
	case n == 0:
		return f, io.EOF
	}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if f.fds, err = descriptors(rights); err != nil {
		return f, err
	}
	if err = l.full(head[n:]); err != nil {
		return f, err
	}
	size := binary.LittleEndian.Uint32(head[:])
	f.kind = head[4]
	if size > maxFrame || int(head[5]) != len(f.fds) {
		return f, errProtocol
	}
	if cap(l.buf) < int(size) {
		l.buf = make([]byte, size)
	}
	f.body = l.buf[:size]
	return f, l.full(f.body)
}

// begin reads the beginning of a frame, and the messages about descriptors beside it.
func (l *link) begin(head, space []byte) (n int, rights []byte, err error) {
	counts := func(n, beside, _ int, _ unix.Sockaddr, err error) (int, int, error) { return n, beside, err }
	for {
		n, beside, err := counts(unix.Recvmsg(l.fd, head, space, unix.MSG_CMSG_CLOEXEC))
		if err == unix.EINTR {
			continue
		}
		return n, space[:max(beside, 0)], err
	}
}

func descriptors(rights []byte) (fds []int, err error) {
	if len(rights) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		if more, err := unix.ParseUnixRights(&m); err == nil {
			fds = append(fds, more...)
		}
	}
	return fds, nil
}

// full fills b.
func (l *link) full(b []byte) error {
	for len(b) > 0 {
		n, err := unix.Read(l.fd, b)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		case n == 0:
			return io.ErrUnexpectedEOF
		}
		b = b[n:]
	}
	return nil
}

package kobj

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// stdioKind is a pipe whose other end the agent holds: the job's standard
// input, output or error.
var stdioKind = Kind{
	Name: "standard stream",
	Claim: func(c Capturer, s *Source) bool {
		if !strings.HasPrefix(s.Link, "pipe:[") || s.Flags&unix.O_PATH != 0 {
			return false
		}
		_, _, ok := c.Stdio(s.Stat.Ino)
		return ok
	},
	Capture: captureStdio,
	Has:     func(f *image.File) bool { return f.Stdio != nil },
	Restore: restoreStdio,
}

// captureStdio keeps what the launcher has written and the program not read.
// What the program has written the agent reads itself, before or after.
func captureStdio(c Capturer, s *Source, f *image.File) error {
	stream, role, _ := c.Stdio(s.Stat.Ino)
	f.Stdio = &image.Stdio{Role: role, Stream: stream, Kind: "pipe"}
	if role != 0 || s.Flags&unix.O_ACCMODE == unix.O_WRONLY {
		return nil
	}
	content, err := peekPipe(s.FD)
	if err != nil || len(content.data) == 0 {
		return err
	}
	blob, err := c.Blob(content.data)
	if err != nil {
		return err
	}
	f.Stdio.Data = &blob
	return nil
}

// restoreStdio takes the pipe that the agent made anew, as a description of
// its own where the stream has several: each has its flags.
func restoreStdio(m *Maker, f *image.File) (int, error) {
	end, err := m.Stdio(f.Stdio.Stream, f.Stdio.Role)
	if err != nil {
		return -1, err
	}
	name := fmt.Sprintf("stdio:%s:%d", f.Stdio.Stream, f.Stdio.Role)
	if f.Stdio.Data != nil && m.once(name+":data") {
		if err := refillPipe(m, end, f.Stdio.Data, nil); err != nil {
			return -1, fmt.Errorf("put back what was typed ahead: %w", err)
		}
	}
	var fd int
	if m.once(name) && sameAccess(end, f.Flags) {
		fd, err = dup(end)
	} else {
		fd, err = reopen(end, f.Flags&^unix.O_APPEND)
	}
	return withStatus(fd, err, f.Flags)
}

// sameAccess tells whether a description has the access mode of flags.
func sameAccess(fd, flags int) bool {
	now, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return err == nil && now&unix.O_ACCMODE == flags&unix.O_ACCMODE
}

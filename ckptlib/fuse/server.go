package fuse

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Size is how long each file seems to be: as long as the address space of a
// process, whose memory is at its addresses.
const Size = 1 << 47

// Content fills b with what a file has at an offset. It is called by any number of
// goroutines at the same time. If it fails, so does the access of the program.
type Content func(file uint64, offset int64, b []byte) error

// A Server answers for a file system.
type Server struct {
	device  *os.File
	root    int
	content Content
	wg      sync.WaitGroup
}

// Serve begins to answer for the file system that Mount has made. The descriptors
// are the server's from here on. The caller must Close it.
func Serve(device, root int, content Content) (*Server, error) {
	if err := unix.SetNonblock(device, true); err != nil {
		return nil, err
	}
	s := &Server{device: os.NewFile(uintptr(device), Device), root: root, content: content}
	s.wg.Go(s.run)
	return s, nil
}

// Open opens a file, whose numbers count from 1, to be mapped.
func (s *Server) Open(file uint64) (int, error) {
	fd, err := unix.Openat(s.root, strconv.FormatUint(file, 10), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open file %d of a file system of this process: %w", file, err)
	}
	return fd, nil
}

// Dev is the device number by which stat(2) and /proc/PID/maps know the files.
func (s *Server) Dev() (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(s.root, &st); err != nil {
		return 0, fmt.Errorf("stat a file system of this process: %w", err)
	}
	return st.Dev, nil
}

// Close ends the service, at once: who still waits for content gets an error.
func (s *Server) Close() {
	_ = s.device.Close() // what is not answered is answered by that
	s.wg.Wait()
	_ = unix.Close(s.root)
}

// run receives until the device is closed or nobody has the file system any more.
func (s *Server) run() {
	buf := make([]byte, requestSize)
	for {
		n, err := s.device.Read(buf)
		switch {
		case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINTR):
			continue // the asker has been interrupted before it was heard
		case err != nil:
			return
		}
		r, err := parseRequest(buf[:n])
		if err != nil {
			return
		}
		if r.op == opRead {
			r.body = bytes.Clone(r.body)
			s.wg.Go(func() { s.read(r) })
			continue
		}
		s.answer(r)
	}
}

// answer answers everything but reads.
func (s *Server) answer(r request) {
	b := reply(r.unique, 128)
	var errno unix.Errno
	switch r.op {
	case opForget, opBatchForget, opInterrupt:
		return // they want no answer; what is under way ends soon
	case opInit:
		b = appendInit(b)
	case opLookup:
		name, _, _ := bytes.Cut(r.body, []byte{0})
		file, err := strconv.ParseUint(string(name), 10, 62)
		if err != nil || file == 0 || r.node != rootNode {
			errno = unix.ENOENT
			break
		}
		b = appendEntry(b, file+rootNode)
	case opGetattr:
		b = appendAttrOut(b, r.node)
	case opOpen:
		b = appendOpen(b)
	case opRelease, opFlush, opDestroy:
	default:
		errno = unix.ENOSYS
	}
	s.send(b, errno)
}

func (s *Server) read(r request) {
	offset, size, ok := r.readArgs()
	if !ok || size > readAhead || r.node <= rootNode {
		s.send(reply(r.unique, 0), unix.EINVAL)
		return
	}
	size = int(max(0, min(int64(size), Size-offset)))
	b := reply(r.unique, size)
	if err := s.content(r.node-rootNode, offset, b[outHeader:outHeader+size]); err != nil {
		s.send(b, unix.EIO)
		return
	}
	s.send(b[:outHeader+size], 0)
}

func (s *Server) send(b []byte, errno unix.Errno) {
	if errno != 0 {
		b = b[:outHeader]
	}
	_, _ = s.device.Write(finish(b, int32(errno))) // the asker may have been killed
}

package fuse_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/fuse"
	"github.com/gompirun/gompirun/ckptlib/fuse/fusetest"
	"github.com/gompirun/gompirun/ckptlib/internal/testuser"
)

// mounter has the test binary mount a file system in namespaces of its own and
// hand it over.
const mounter = "GOMPIRUN_TEST_MOUNT"

func TestMain(m *testing.M) {
	if os.Getenv(mounter) == "" {
		os.Exit(m.Run())
	}
	device, root, err := fuse.Mount()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := unix.Sendmsg(3, []byte{0}, unix.UnixRights(device, root), nil, 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve makes a file system, of which nobody has the namespace any more.
func serve(t *testing.T, content fuse.Content) *fuse.Server {
	t.Helper()
	fusetest.Need(t)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "hand")
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), mounter+"=1")
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN},
	}
	out, err := cmd.CombinedOutput()
	_ = theirs.Close()
	if err != nil {
		t.Fatalf("mount: %v\n%s", err, out)
	}
	oob := make([]byte, 64)
	_, n, _, _, err := unix.Recvmsg(pair[0], make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC)
	_ = unix.Close(pair[0])
	if err != nil {
		t.Fatal(err)
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(msgs) != 1 {
		t.Fatalf("%d control messages came: %v", len(msgs), err)
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil {
		t.Fatal(err)
	}
	s, err := fuse.Serve(fds[0], fds[1], content)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// numbered fills each eight bytes with their file and place.
func numbered(file uint64, offset int64, b []byte) error {
	for i := 0; i < len(b); i += 8 {
		binary.NativeEndian.PutUint64(b[i:], file<<56|uint64(offset+int64(i)))
	}
	return nil
}

func TestMappingOfAServedFileHasItsContentAndIsTheMappersOwn(t *testing.T) {
	testuser.Again(t)
	var bytesRead atomic.Int64
	s := serve(t, func(file uint64, offset int64, b []byte) error {
		bytesRead.Add(int64(len(b)))
		return numbered(file, offset, b)
	})
	const at, size = 0x7f1234567000, 64 << 20
	for _, file := range []uint64{1, 7} {
		fd, err := s.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := unix.Mmap(fd, at, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Close(fd); err != nil {
			t.Fatal(err)
		}
		// By the program, and by the kernel.
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		for _, off := range []int{0, 4096 * 77, size - 8} {
			if got, want := binary.NativeEndian.Uint64(m[off:]), file<<56|uint64(at+off); got != want {
				t.Errorf("file %d has %#x at %#x, want %#x", file, got, off, want)
			}
		}
		if _, err := w.Write(m[1<<20 : 1<<20+8]); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Read(m[2<<20 : 2<<20+8]); err != nil {
			t.Fatal(err)
		}
		if got, want := binary.NativeEndian.Uint64(m[2<<20:]), file<<56|uint64(at+1<<20); got != want {
			t.Errorf("read(2) put %#x into file %d, want %#x", got, file, want)
		}
		if err := unix.Munmap(m); err != nil {
			t.Fatal(err)
		}
	}
	if n := bytesRead.Load(); n == 0 || n > size/4 {
		t.Errorf("%d of %d bytes were asked for, want what was touched and little more", n, 2*size)
	}
}

func TestAccessFailsWhereThereIsNoContent(t *testing.T) {
	testuser.Again(t)
	s := serve(t, func(uint64, int64, []byte) error { return errors.New("it is damaged") })
	fd, err := s.Open(3)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if n, err := unix.Pread(fd, make([]byte, 8), 0); !errors.Is(err, unix.EIO) {
		t.Errorf("pread = %d, %v, want EIO", n, err)
	}
	if _, err := s.Open(0); !errors.Is(err, unix.ENOENT) {
		t.Errorf("Open(0) = %v, want ENOENT", err)
	}
}

func TestCloseEndsThoseWhoWait(t *testing.T) {
	testuser.Again(t)
	asked, never := make(chan struct{}, 64), make(chan struct{})
	s := serve(t, func(uint64, int64, []byte) error {
		asked <- struct{}{}
		<-never
		return errors.New("closed")
	})
	fd, err := s.Open(1)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	done := make(chan error)
	go func() {
		_, err := unix.Pread(fd, make([]byte, 8), 0)
		done <- err
	}()
	<-asked
	closed := make(chan struct{})
	go func() { s.Close(); close(closed) }()
	if err := <-done; err == nil {
		t.Error("pread succeeded after the end of the service")
	}
	close(never)
	<-closed
}

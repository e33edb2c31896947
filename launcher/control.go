package launcher

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/launcher/wire"
)

// A control is the socket on which a running job takes requests of its user. Its
// name is abstract, so nothing is left of it however the job ends, and made from
// the checkpoint directory, so two jobs on a host cannot use the same one.
type control struct {
	name     string
	listener *net.UnixListener
	lock     storeLock
	file     string // to be removed; "" is none
	requests chan *controlRequest
}

// controlRequest asks for a checkpoint.
type controlRequest struct {
	Stop  bool `json:"stop"`
	reply func(controlReply)
}

// controlReply is the answer: a report, or why there is none.
type controlReply struct {
	Error  string `json:"error,omitempty"`
	Report Report `json:"report"`
}

// errDirBusy means that another job uses the checkpoint directory.
var errDirBusy = errors.New("another running job uses this checkpoint directory")

// socketName is the address of the control socket for a directory; the "@"
// stands for the zero byte of an abstract name.
func socketName(dir string) string {
	if real, err := os.Readlink(dir); err == nil && real != "" && real[0] == '/' {
		dir = real
	}
	sum := sha256.Sum256([]byte(dir))
	return fmt.Sprintf("@gompirun-%d-%s", os.Getuid(), hex.EncodeToString(sum[:16]))
}

func listenControl(dir string) (*control, error) {
	name := socketName(dir)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("%w: %s\n  end that job first: gompirun checkpoint --stop %s", errDirBusy, dir, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for requests: %w", err)
	}
	c := &control{name: name, listener: l, requests: make(chan *controlRequest)}
	go c.serve()
	return c, nil
}

// serve takes requests until the socket is closed.
func (c *control) serve() {
	for {
		conn, err := c.listener.AcceptUnix()
		if err != nil {
			return
		}
		go c.answer(conn)
	}
}

func (c *control) answer(conn *net.UnixConn) {
	defer conn.Close()
	uid, err := peerUID(conn)
	if err != nil || uid != os.Getuid() && uid != 0 {
		return // an abstract name has no permissions
	}
	var r controlRequest
	if json.NewDecoder(conn).Decode(&r) != nil {
		return
	}
	done := make(chan struct{})
	r.reply = func(reply controlReply) {
		// Whoever asked may have gone; the checkpoint counts all the same.
		_ = json.NewEncoder(conn).Encode(reply)
		close(done)
	}
	c.requests <- &r
	<-done
}

// close ends the socket and takes back word of it.
func (c *control) close() {
	_ = c.listener.Close() // it holds nothing
	if c.file != "" {
		_ = os.Remove(c.file) // a stale one says that the job has ended, too
	}
	c.lock.release() // last: the file may be another job's from here on
}

// peerUID tells who is on the other end.
func peerUID(c *net.UnixConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var cerr error
	err = raw.Control(func(fd uintptr) {
		cred, cerr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(err, cerr); err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}

// RequestCheckpoint asks the job that uses a checkpoint directory (absolute) for
// a checkpoint and returns what came of it. With stop the job ends with it.
func RequestCheckpoint(ctx context.Context, dir string, stop bool, here wire.Hello) (Report, error) {
	f, ferr := readControlFile(dir)
	if ferr == nil && (f.Host != here.HostName || f.BootID != here.BootID) {
		return Report{}, fmt.Errorf("the job that uses %s runs from host %s, and this is %s\n  ssh %s gompirun checkpoint %s",
			dir, f.Host, here.HostName, f.Host, dir)
	}
	if ferr != nil && !errors.Is(ferr, fs.ErrNotExist) {
		return Report{}, ferr
	}
	name := socketName(dir)
	if ferr == nil {
		name = f.Socket
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", name)
	if err != nil {
		return Report{}, noJob(dir)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if uid, err := peerUID(c.(*net.UnixConn)); err != nil || uid != os.Getuid() {
		return Report{}, fmt.Errorf("the job that uses %s belongs to user %d; run this as that user", dir, uid)
	}
	if err := json.NewEncoder(c).Encode(controlRequest{Stop: stop}); err != nil {
		return Report{}, fmt.Errorf("ask the job for a checkpoint: %w", err)
	}
	var r controlReply
	if err := json.NewDecoder(c).Decode(&r); err != nil {
		if ctx.Err() != nil {
			return Report{}, ctx.Err()
		}
		return Report{}, fmt.Errorf("the job ended before the checkpoint was complete")
	}
	if r.Error != "" {
		return r.Report, errors.New(r.Error)
	}
	return r.Report, nil
}

// noJob says why there is nobody to ask.
func noJob(dir string) error {
	st, err := store.Open(dir)
	if err != nil {
		return fmt.Errorf("no running job uses the checkpoint directory %s on this host\n"+
			"  run this where gompirun runs, with the directory that the job was started with (--ckpt-dir, or ckpt-PROGRAM in its working directory)", dir)
	}
	g, _, err := st.Latest(context.Background())
	if err != nil {
		return fmt.Errorf("the job that used %s has ended; it left no checkpoint", dir)
	}
	return fmt.Errorf("the job that used %s has ended\n  its newest checkpoint is %d: gompirun restart %s", dir, g.Manifest.Generation, dir)
}

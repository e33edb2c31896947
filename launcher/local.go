package launcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gompirun/gompirun/launcher/hosts"
	"github.com/gompirun/gompirun/launcher/wire"
)

// lookupTime bounds the question whether a name is this host's.
const lookupTime = 2 * time.Second

// isLocal tells whether a host is the one this process runs on: by its name or
// one of its addresses. A host with a port or a user of its own is reached by
// SSH whatever it is.
func isLocal(ctx context.Context, h hosts.Host, here wire.Hello) bool {
	if h.User != "" || h.Port != 0 {
		return false
	}
	short, _, _ := strings.Cut(here.HostName, ".")
	if h.Local() || h.Name == here.HostName || h.Name == short {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", h.Name)
	if err != nil {
		return false // ssh may know the name
	}
	for _, f := range found {
		for _, a := range here.Addresses {
			if f.Unmap() == a.WithZone("") {
				return true
			}
		}
		if f.Unmap().IsLoopback() {
			return true
		}
	}
	return false
}

// localProcess is an agent that is our child.
type localProcess struct {
	cmd   *exec.Cmd
	in    io.Closer
	said  *tail
	ended chan struct{}
	err   error
}

// startLocal starts an agent on this host.
func startLocal(args []string, log io.Writer) (*localProcess, io.Reader, io.Writer, error) {
	// The file may have been replaced since this process was started, but the
	// other side must be of the same build.
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = "gompirun"
	if self, err := os.Executable(); err == nil {
		cmd.Args[0] = self
	}
	// A Ctrl-C at the terminal is ours to handle, not the agents'.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	p := &localProcess{cmd: cmd, said: &tail{w: log}, ended: make(chan struct{})}
	cmd.Stderr = p.said
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, nil, fmt.Errorf("start the agent of this host: %w", err)
	}
	p.in = in
	// Wait would close the pipe that we still read from.
	return p, &drained{Reader: out, then: func() {
		p.err = cmd.Wait()
		close(p.ended)
	}}, in, nil
}

// drained calls then, once, when the reader has come to its end.
type drained struct {
	io.Reader
	then func()
	once sync.Once
}

func (d *drained) Read(b []byte) (int, error) {
	n, err := d.Reader.Read(b)
	if err != nil {
		d.once.Do(func() { go d.then() })
	}
	return n, err
}

// CloseInput implements process.
func (p *localProcess) CloseInput() error { return p.in.Close() }

// reasonTime bounds how long an agent may take to end after it closed its
// output.
const reasonTime = 2 * time.Second

// Reason implements process.
func (p *localProcess) Reason() error {
	select {
	case <-p.ended:
	case <-time.After(reasonTime):
		return errors.New("it closed its output and goes on running")
	}
	return p.said.explain(p.err)
}

// Close implements process.
func (p *localProcess) Close() {
	_ = p.in.Close() // it may be closed already
	select {
	case <-p.ended:
	case <-time.After(reasonTime):
		_ = p.cmd.Process.Kill() // it may have ended in between
	}
}

// A tail keeps the end of what an agent writes to its standard error, and passes
// all of it on if there is somebody to read it.
type tail struct {
	w  io.Writer // or nil
	mu sync.Mutex
	b  []byte
}

// tailSize is how much of it is kept, in bytes.
const tailSize = 2048

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	t.b = append(t.b, b...)
	if len(t.b) > tailSize {
		t.b = append([]byte(nil), t.b[len(t.b)-tailSize:]...)
	}
	t.mu.Unlock()
	if t.w != nil {
		return t.w.Write(b)
	}
	return len(b), nil
}

// explain adds what was said last to an error.
func (t *tail) explain(err error) error {
	t.mu.Lock()
	said := strings.TrimSpace(string(bytes.ToValidUTF8(t.b, nil)))
	t.mu.Unlock()
	switch {
	case said == "":
		return err
	case err == nil:
		return errors.New(said)
	}
	return fmt.Errorf("%w: %s", err, said)
}

// firstAddress puts an address in front, if the host has it.
func firstAddress(list []netip.Addr, first net.Addr) []netip.Addr {
	want := addrOf(first)
	for i, a := range list {
		if a.WithZone("") == want {
			out := append([]netip.Addr{a}, list[:i]...)
			return append(out, list[i+1:]...)
		}
	}
	return list
}

func addrOf(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap().WithZone("")
}

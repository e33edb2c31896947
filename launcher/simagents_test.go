package launcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/conn"
	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/launcher/rpc"
	"github.com/gompirun/gompirun/launcher/wire"
)

// simVariable has what a process of simulated agents shall be.
const simVariable = "GOMPIRUN_SIMULATED_AGENTS"

// simAgents are agents without pods: they speak the protocol over one socket
// each, and write to the store. They are a process of their own, so that what the
// coordinator needs can be told from what they do.
type simAgents struct {
	Agents int
	// Degree is how many connections each pod has to others, and as many from them.
	Degree int
	// Every so many'th agent is slow by SlowMS in each method, fails in Fails
	// the first time and then every other time, or ends in Dies.
	Every  int
	SlowMS int
	Fails  string
	Dies   string
}

func TestMain(m *testing.M) {
	pod.MaybeInit()
	if v := os.Getenv(simVariable); v != "" {
		var s simAgents
		err := json.Unmarshal([]byte(v), &s)
		if err == nil {
			err = s.serve()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serve is all agents, whose sockets are the descriptors from 3 on, to their end.
func (s simAgents) serve() error {
	errs := make([]error, s.Agents)
	var wg sync.WaitGroup
	for i := range s.Agents {
		f := os.NewFile(uintptr(3+i), "agent")
		c, err := net.FileConn(f)
		if err != nil {
			return err
		}
		f.Close()
		wg.Go(func() {
			a := &simAgent{s: &s, pod: i, socket: c, odd: s.Every > 0 && i%s.Every == s.Every-1}
			w, _, err := wire.Open(c, c, wire.NewHello(), false, a)
			if err == nil {
				err = w.Serve()
			}
			if !errors.Is(err, net.ErrClosed) {
				errs[i] = err
			}
			c.Close()
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// simAgent is one of them.
type simAgent struct {
	s      *simAgents
	pod    int
	socket net.Conn
	odd    bool

	mu     sync.Mutex
	failed bool
	gen    rpc.Generation
}

func (a *simAgent) Event(string, json.RawMessage)      {}
func (a *simAgent) Stream(wire.StreamID, []byte, bool) {}
func (a *simAgent) Credit(wire.StreamID, int)          {}

func (a *simAgent) Request(_ context.Context, method string, params json.RawMessage) (any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.odd {
		time.Sleep(time.Duration(a.s.SlowMS) * time.Millisecond)
		switch method {
		case a.s.Dies:
			a.socket.Close()
			return nil, nil
		case a.s.Fails:
			if a.failed = !a.failed; a.failed {
				return nil, errors.New("no space left on device")
			}
		}
	}
	switch method {
	case rpc.Prepare:
		return nil, json.Unmarshal(params, &a.gen)
	case rpc.Elect:
		return a.ends(), nil
	case rpc.Pair:
		var partners []conn.Partner
		if err := json.Unmarshal(params, &partners); err != nil {
			return nil, err
		}
		if len(partners) != 1+2*a.s.Degree || partners[0] != conn.None || slices.Contains(partners[1:], conn.None) {
			return nil, fmt.Errorf("pod %d was told of partners %v, want them of all but the listener", a.pod, partners)
		}
	case rpc.Write:
		return a.write()
	case rpc.Rebuild:
		var r rpc.Rebuilt
		r.Addrs.Inet = netip.AddrPortFrom(simAddr(a.pod), 40000)
		for _, e := range a.ends() {
			if e.State != conn.StateListen {
				r.Ends = append(r.Ends, rpc.ConnEnd{ID: e.ID(conn.Far), Family: unix.AF_INET})
			}
		}
		return r, nil
	case rpc.Connect:
		var c rpc.Connections
		if err := json.Unmarshal(params, &c); err != nil {
			return nil, err
		}
		if len(c.Peers) != 2*a.s.Degree {
			return nil, fmt.Errorf("pod %d was told of %d peers, want %d", a.pod, len(c.Peers), 2*a.s.Degree)
		}
	}
	return nil, nil
}

func simAddr(pod int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(pod >> 16), byte(pod >> 8), byte(pod)})
}

// ends are those of connections to the pods that follow, from those before, and a
// listener.
func (a *simAgent) ends() conn.Ends {
	const port = 1024
	net := fmt.Sprintf("%036d/4026532000", a.pod)
	listener := netip.AddrPortFrom(simAddr(a.pod), port)
	ends := conn.Ends{{Inode: 1, NetID: net, Local: listener, State: conn.StateListen}}
	for k := 1; k <= a.s.Degree; k++ {
		away := 1 + (k-1)%(a.s.Agents-1) // never itself
		to, from := (a.pod+away)%a.s.Agents, (a.pod+a.s.Agents-away)%a.s.Agents
		ends = append(ends,
			conn.End{Inode: uint64(2 * k), NetID: net, Local: netip.AddrPortFrom(simAddr(a.pod), uint16(30000+k)), Remote: netip.AddrPortFrom(simAddr(to), port), State: conn.StateEstablished},
			conn.End{Inode: uint64(2*k + 1), NetID: net, Local: listener, Remote: netip.AddrPortFrom(simAddr(from), uint16(30000+k)), State: conn.StateEstablished})
	}
	return ends
}

// write leaves a generation of one page.
func (a *simAgent) write() (r rpc.Result, err error) {
	st, err := store.Open(a.gen.Dir)
	if err != nil {
		return r, err
	}
	w, err := st.NewWriter(a.gen.Number, a.pod, nil, store.WriterOptions{})
	if err != nil {
		return r, err
	}
	page := make([]byte, store.PageSize)
	page[0], page[1], page[2] = 1, byte(a.pod), byte(a.pod>>8)
	refs, err := w.AddPages(nil, page)
	if err != nil {
		return r, err
	}
	table := store.NewTable()
	table.Add(1, 0, refs)
	if err := w.Finish(); err != nil {
		return r, err
	}
	t, err := table.Build(w)
	if err != nil {
		return r, err
	}
	pages, err := t.Encode()
	if err == nil {
		err = w.Sync()
	}
	for kind, data := range map[string][]byte{store.KindJSON: []byte("{}"), store.KindPages: pages} {
		var f store.FileInfo
		if err == nil {
			f, err = st.WriteImage(a.gen.Number, a.pod, kind, data)
		}
		r.Files = append(r.Files, f)
	}
	r.Processes, r.Ranks, r.BytesLogical = 5, 4, store.PageSize
	return r, err
}

package conn

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var token = [32]byte{1, 2, 3}

func joiner(t testing.TB, addr string) *Joiner {
	t.Helper()
	j, err := Listen(netip.MustParseAddr(addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return j
}

// join runs the plans of several pods at once.
func join(t testing.TB, ctx context.Context, joiners []*Joiner, plans [][]Plan) []map[ID]int {
	t.Helper()
	fds := make([]map[ID]int, len(joiners))
	errs := make([]error, len(joiners))
	var wg sync.WaitGroup
	for i := range joiners {
		wg.Go(func() { fds[i], errs[i] = joiners[i].Join(ctx, plans[i], token) })
	}
	wg.Wait()
	for i, err := range errs {
		for _, fd := range fds[i] {
			t.Cleanup(func() { unix.Close(fd) })
		}
		if err != nil {
			t.Fatalf("Join of pod %d: %v", i, err)
		}
	}
	return fds
}

// speak checks that two sockets are the ends of one connection with nothing in it.
func speak(t testing.TB, a, b int) {
	t.Helper()
	for _, d := range [][2]int{{a, b}, {b, a}} {
		wantBlocking(t, d[0])
		wantQuiet(t, d[0])
		s := []byte(fmt.Sprintf("from %d to %d", d[0], d[1]))
		write(t, d[0], s)
		wantReadable(t, d[1], s)
	}
}

func TestAThousandConnectionsAreJoinedAtOneListener(t *testing.T) {
	const n = 1200
	raiseFileLimit(t, 3*n)
	a, b := joiner(t, "127.0.0.1"), joiner(t, "127.0.0.1")
	var plans [2][]Plan
	for i := range n {
		id := ID{fmt.Sprintf("127.0.0.1:%d-127.0.0.1:9@x", i), true}
		plans[0] = append(plans[0], Plan{ID: id, Family: unix.AF_INET, Peer: b.Addrs().Inet})
		plans[1] = append(plans[1], Plan{ID: id.Peer(), Family: unix.AF_INET})
	}
	fds := join(t, within(t, time.Minute), []*Joiner{a, b}, plans[:])
	for id, fd := range fds[0] {
		speak(t, fd, fds[1][id.Peer()])
	}
	if got := len(fds[0]) + len(fds[1]); got != 2*n {
		t.Errorf("%d ends were joined, want %d", got, 2*n)
	}
}

func TestBothEndsOfAConnectionMayBeInOnePod(t *testing.T) {
	j := joiner(t, "127.0.0.1")
	id := ID{"self", true}
	fds := join(t, within(t, time.Minute), []*Joiner{j}, [][]Plan{{
		{ID: id, Family: unix.AF_INET, Peer: j.Addrs().Inet}, {ID: id.Peer(), Family: unix.AF_INET},
	}})
	speak(t, fds[0][id], fds[0][id.Peer()])
}

func TestEachEndGetsItsFamilyBack(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "::1"} {
		for _, families := range [][2]int{{unix.AF_INET, unix.AF_INET}, {unix.AF_INET, unix.AF_INET6}, {unix.AF_INET6, unix.AF_INET}, {unix.AF_INET6, unix.AF_INET6}} {
			if addr == "::1" && families != [2]int{unix.AF_INET6, unix.AF_INET6} {
				continue
			}
			t.Run(fmt.Sprint(addr, families), func(t *testing.T) {
				a, b := joiner(t, addr), joiner(t, addr)
				if !b.Addrs().Inet6.IsValid() {
					t.Skip("this host has no IPv6")
				}
				id := ID{"x", true}
				fds := join(t, within(t, time.Minute), []*Joiner{a, b}, [][]Plan{
					{{ID: id, Family: families[0], Peer: b.Addrs().For(families[1])}},
					{{ID: id.Peer(), Family: families[1]}},
				})
				for i, fd := range []int{fds[0][id], fds[1][id.Peer()]} {
					if got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || got != families[i] {
						t.Errorf("family of end %d = %d, %v, want %d", i, got, err, families[i])
					}
				}
				speak(t, fds[0][id], fds[1][id.Peer()])
			})
		}
	}
}

func TestADialerWaitsForAListenerThatComesLate(t *testing.T) {
	a := joiner(t, "127.0.0.1")
	l, port, err := listen(unix.AF_INET, netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Close(l); err != nil { // the port is free now: connecting to it is refused
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
	id := ID{"x", true}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		time.Sleep(50 * time.Millisecond) // late is what it is about
		fd, err := socket(unix.AF_INET)
		if err == nil {
			err = unix.Bind(fd, sockaddr(unix.AF_INET, addr))
		}
		if err == nil {
			err = unix.Listen(fd, 10)
		}
		if err != nil {
			t.Error(err)
			return
		}
		b := &Joiner{listeners: []int{fd}}
		defer b.Close()
		fds, err := b.Join(within(t, time.Minute), []Plan{{ID: id.Peer(), Family: unix.AF_INET}}, token)
		if err != nil {
			t.Error(err)
		}
		unix.Close(fds[id.Peer()])
	})
	fds, err := a.Join(within(t, time.Minute), []Plan{{ID: id, Family: unix.AF_INET, Peer: addr}}, token)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fds[id])
}

func TestAnImpossiblePlanIsRefused(t *testing.T) {
	j := joiner(t, "127.0.0.1")
	ok := Plan{ID: ID{"x", false}, Family: unix.AF_INET}
	for name, plan := range map[string][]Plan{
		"twice":        {ok, ok},
		"no address":   {{ID: ID{"x", true}, Family: unix.AF_INET6}},
		"IPv4 to IPv6": {{ID: ID{"x", true}, Family: unix.AF_INET, Peer: netip.MustParseAddrPort("[2001:db8::1]:5")}},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			if fds, err := j.Join(within(t, 30*time.Second), plan, token); err == nil || time.Since(start) > 10*time.Second {
				t.Errorf("Join = %v, %v, want an error at once", fds, err)
			}
		})
	}
}

func TestAFailedJoinLeavesNoDescriptors(t *testing.T) {
	a, b := joiner(t, "127.0.0.1"), joiner(t, "127.0.0.1")
	before := openFiles(t)
	id := ID{"x", true}
	var wg sync.WaitGroup
	ctx := within(t, 300*time.Millisecond)
	wg.Go(func() {
		if _, err := a.Join(ctx, []Plan{{ID: id, Family: unix.AF_INET, Peer: b.Addrs().Inet}, {ID: ID{"missing", false}, Family: unix.AF_INET}}, token); err == nil {
			t.Error("Join without its peer = nil, want an error")
		}
	})
	wg.Go(func() {
		if _, err := b.Join(ctx, []Plan{{ID: id.Peer(), Family: unix.AF_INET}, {ID: ID{"also missing", false}, Family: unix.AF_INET}}, token); err == nil {
			t.Error("Join without its peer = nil, want an error")
		}
	})
	wg.Wait()
	if after := openFiles(t); after != before {
		t.Errorf("%d descriptors are open, want %d as before", after, before)
	}
}

func openFiles(t testing.TB) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func raiseFileLimit(t testing.TB, n uint64) {
	t.Helper()
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	if l.Cur < n {
		l.Cur = min(n, l.Max)
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &l); err != nil || l.Cur < n {
			t.Skipf("this user may open only %d files", l.Max)
		}
	}
}

// BenchmarkRestartOf256Connections is the network's part of a restart: join,
// exchange and refill, with 42 bytes unread at each end, as MPICH leaves them.
func BenchmarkRestartOf256Connections(b *testing.B) {
	const n = 256
	raiseFileLimit(b, 4*n)
	for b.Loop() {
		j := []*Joiner{joiner(b, "127.0.0.1"), joiner(b, "127.0.0.1")}
		var plans [2][]Plan
		for i := range n {
			id := ID{fmt.Sprint(i), true}
			plans[0] = append(plans[0], Plan{ID: id, Family: unix.AF_INET, Peer: j[1].Addrs().Inet})
			plans[1] = append(plans[1], Plan{ID: id.Peer(), Family: unix.AF_INET})
		}
		ctx := within(b, time.Minute)
		var wg sync.WaitGroup
		for i := range j {
			wg.Go(func() {
				fds, err := j[i].Join(ctx, plans[i], token)
				var streams []*Stream
				for id, fd := range fds {
					streams = append(streams, &Stream{ID: id, FD: fd, Queue: noise(1, 42)})
				}
				if err == nil {
					err = Exchange(ctx, streams)
				}
				if err == nil {
					err = Refill(ctx, streams)
				}
				if err != nil {
					b.Error(err)
				}
				for _, fd := range fds {
					unix.Close(fd)
				}
				j[i].Close()
			})
		}
		wg.Wait()
	}
}

package conn

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asOrdinaryUser makes the running test run again in a child that has no
// privilege outside of a user and network namespace of its own, and returns
// true in that child.
func asOrdinaryUser(t *testing.T) bool {
	t.Helper()
	if os.Getenv("CONN_TEST_CHILD") == t.Name() {
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "CONN_TEST_CHILD="+t.Name())
	uid, gid := os.Getuid(), os.Getgid()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("as an ordinary user: %v\n%s", err, out)
	}
	if strings.Contains(string(out), "--- SKIP") {
		t.Skipf("as an ordinary user:\n%s", out)
	}
	return false
}

func run(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
}

// limits sets the buffers of the calling thread's network namespace to what
// kernels have by default.
func limits(t *testing.T) {
	t.Helper()
	for name, v := range map[string]string{"tcp_rmem": "4096 131072 6291456", "tcp_wmem": "4096 16384 4194304"} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(v), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBuffersAreLargeEnoughBetweenHosts puts back what may have been in flight,
// 6 MiB in the receiver and 4 MiB in the sender less their overhead, over a link
// between two network namespaces and over loopback, with default limits and
// without privilege.
func TestBuffersAreLargeEnoughBetweenHosts(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil {
		t.Fatalf("%v: ci/setup installs it", err)
	}
	if !asOrdinaryUser(t) {
		return
	}
	if c := capabilities(t); c == "0000000000000000" {
		t.Fatal("the child may not configure its own network namespace")
	}
	run(t, "ip", "link", "set", "lo", "up")
	run(t, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
	run(t, "ip", "addr", "add", "10.1.2.1/24", "dev", "v0")
	run(t, "ip", "link", "set", "v0", "up")
	limits(t)

	// A thread that is never unlocked ends with its goroutine, and its namespace
	// with the link once the sockets in it are closed.
	listener := make(chan int)
	ready := make(chan string)
	go func() {
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
		}
		ready <- fmt.Sprint(unix.Gettid())
		<-ready
		run(t, "ip", "addr", "add", "10.1.2.2/24", "dev", "v1")
		run(t, "ip", "link", "set", "v1", "up")
		limits(t)
		l, port, err := listen(unix.AF_INET, netip.MustParseAddr("10.1.2.2"))
		if err != nil {
			t.Error(err)
		}
		listener <- l
		listener <- int(port)
	}()
	run(t, "ip", "link", "set", "v1", "netns", <-ready)
	ready <- ""
	l, port := <-listener, uint16(<-listener)
	defer unix.Close(l)

	const mib = 1 << 20
	for _, size := range [][2]int{{42, 42}, {4 * mib, 4 * mib}, {9 * mib, 0}, {9 * mib, 9 * mib}} {
		t.Run(fmt.Sprint("link ", size), func(t *testing.T) {
			a, b := connected(t, l, netip.AddrPortFrom(netip.MustParseAddr("10.1.2.2"), port))
			// As Join does it, before the first byte.
			for fd, n := range map[int]int{a: size[0], b: size[1]} {
				if _, err := makeRoom(fd, n); err != nil {
					t.Fatal(err)
				}
			}
			x := transfer{"x", a, b, noise(1, size[0]), noise(2, size[1])}
			start := time.Now()
			if err := putBack(t, []transfer{x}); err != nil {
				t.Fatal(err)
			}
			t.Logf("took %v", time.Since(start))
			x.check(t)
		})
		t.Run(fmt.Sprint("loopback ", size), func(t *testing.T) {
			a, b := roomy(t, size[0], size[1])
			x := transfer{"x", a, b, noise(1, size[0]), noise(2, size[1])}
			if err := putBack(t, []transfer{x}); err != nil {
				t.Fatal(err)
			}
			x.check(t)
		})
	}
	t.Run("64 connections", func(t *testing.T) {
		var all []transfer
		for i := range 64 {
			a, b := connected(t, l, netip.AddrPortFrom(netip.MustParseAddr("10.1.2.2"), port))
			all = append(all, transfer{fmt.Sprint(i), a, b, noise(uint64(2*i), mib), noise(uint64(2*i+1), mib)})
		}
		start := time.Now()
		if err := putBack(t, all); err != nil {
			t.Fatal(err)
		}
		t.Logf("took %v", time.Since(start))
		for _, x := range all {
			x.check(t)
		}
	})
	t.Run("full native", func(t *testing.T) {
		a, b := connected(t, l, netip.AddrPortFrom(netip.MustParseAddr("10.1.2.2"), port))
		toB, toA := noise(1, 40*mib), noise(2, 40*mib)
		toB = toB[:stuff(t, a, toB)]
		toA = toA[:stuff(t, b, toA)]
		da, db, id := drained(a, b)
		if err := drainAll(t, da, db); err != nil {
			t.Fatal(err)
		}
		settle(t, da, id, db, id.Peer())
		qa, err := da.Streams([]ID{id})
		if err != nil {
			t.Fatal(err)
		}
		qb, err := db.Streams([]ID{id.Peer()})
		if err != nil {
			t.Fatal(err)
		}
		x := transfer{"x", a, b, qa[0].Queue, qb[0].Queue}
		if err := putBack(t, []transfer{x}); err != nil {
			t.Fatal(err)
		}
		wantReadable(t, a, toA)
		wantReadable(t, b, toB)
	})
}

func capabilities(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(l, "CapEff:"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

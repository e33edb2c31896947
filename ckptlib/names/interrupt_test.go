package names

import (
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const restartSys = -512 // ERESTARTSYS, which only a tracer sees

// What decides between the two ways of waiting, and holds here: see Install.
func TestThreadWaitingForAnAnswerStopsOnlyWithoutWaitKillable(t *testing.T) {
	for _, killable := range []bool{false, true} {
		v := native(t)
		flags := 0
		if killable {
			flags = unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
		}
		v.filtered("install", flags)
		tr := trace(t, v.tid)
		s := v.socket("0.0.0.0:0")
		v.begin("getsockname", s)
		req, err := receive(v.listener)
		if err != nil {
			t.Fatal(err)
		}
		tr.interrupt()
		if rax, stops := tr.stopped(300 * time.Millisecond); stops == killable {
			t.Errorf("with WAIT_KILLABLE_RECV %v the thread stops: %v", killable, stops)
		} else if stops {
			if rax != restartSys {
				t.Errorf("rax of the stopped thread = %d, want %d", rax, restartSys)
			}
			tr.resume()
			if req, err = receive(v.listener); err != nil { // the call, repeated
				t.Fatal(err)
			}
		}
		if err := send(v.listener, response{ID: req.ID, Flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}); err != nil {
			t.Error("send:", err)
		}
		if killable {
			if _, stops := tr.stopped(10 * time.Second); !stops {
				t.Error("the thread does not stop after the answer")
			}
			tr.detach()
		}
		if _, errno := v.result(); errno != 0 {
			t.Errorf("getsockname = %v, want success", errno)
		}
	}
}

func TestBlockingAcceptGoesOnAfterStops(t *testing.T) {
	w, ta, tb := twoPods()
	a, b := inPod(t, w, ta), inPod(t, w, tb)
	l := b.listenOn("10.89.0.2:1024")
	tr := trace(t, b.tid)
	b.begin("accept4", l, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	for range 20 {
		blockedIn(t, b.tid, unix.SYS_ACCEPT4)
		if rax := tr.stop(); rax != restartSys {
			t.Errorf("rax of the stopped thread = %d, want %d", rax, restartSys)
		}
		tr.resume()
	}
	tr.stop()
	tr.detach()
	s := a.socket("0.0.0.0:0")
	a.must("connect", s, "10.89.0.2:1024")
	own := a.name("getsockname", s, "")
	conn := b.accepted(own)
	if f := b.number("flags", conn, unix.F_GETFL); f&unix.O_NONBLOCK == 0 {
		t.Error("accept4 with SOCK_NONBLOCK returned a blocking socket")
	}
	if f := b.number("flags", conn, unix.F_GETFD); f != unix.FD_CLOEXEC {
		t.Error("accept4 with SOCK_CLOEXEC returned a descriptor without FD_CLOEXEC")
	}
}

func TestBlockingConnectGoesOnAfterStops(t *testing.T) {
	w, ta, tb := twoPods()
	a, b := inPod(t, w, ta), inPod(t, w, tb)
	l := b.socket("0.0.0.0:0")
	b.must("bind", l, "10.89.0.2:1024")
	b.must("listen", l, 0)
	first := a.socket("0.0.0.0:0")
	a.must("connect", first, "10.89.0.2:1024") // the queue is full
	s := a.socket("0.0.0.0:0")
	a.begin("connect", s, "10.89.0.2:1024")
	tr := trace(t, a.tid)
	for range 20 {
		blockedIn(t, a.tid, unix.SYS_CONNECT)
		if rax := tr.stop(); rax != restartSys {
			t.Errorf("rax of the stopped thread = %d, want %d", rax, restartSys)
		}
		tr.resume()
	}
	tr.stop()
	tr.detach()
	b.accept(l, "") // makes room; the next SYN comes after a second
	if _, errno := a.result(); errno != 0 {
		t.Fatalf("connect = %v, want success", errno)
	}
	b.accept(l, a.name("getsockname", s, ""))
	a.fails(unix.EISCONN, "connect", s, "10.89.0.2:1024")
}

// Each connect and accept here is likely to be stopped at some point of its way.
func TestManyCallsUnderManyStopsAreEachDoneOnce(t *testing.T) {
	const calls = 400
	w, ta, tb := twoPods()
	a, b := inPod(t, w, ta), inPod(t, w, tb)
	l := b.listenOn("0.0.0.0:1024")
	b.begin("accepts", calls, l)
	a.begin("connects", calls, "10.89.0.2:1024")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	stops := make([]int, 2)
	for i, v := range []*victim{a, b} {
		tr := trace(t, v.tid)
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				tr.interrupt()
				if _, ok := tr.stopped(10 * time.Second); !ok {
					t.Error("the thread does not stop")
					return
				}
				tr.resume()
				stops[i]++
				time.Sleep(time.Duration(stops[i]%7) * 30 * time.Microsecond)
			}
		}()
	}
	_, errno := a.result()
	if errno != 0 {
		close(stop)
		t.Fatal("connects:", errno)
	}
	got, errno := b.result()
	close(stop)
	wg.Wait()
	if errno != 0 {
		t.Fatal("accepts:", errno)
	}
	if want := "map[10.89.0.1:true]"; got != want {
		t.Errorf("accepted connections from %s, want %s", got, want)
	}
	t.Logf("%d connects under %d stops, %d accepts under %d", calls, stops[0], calls, stops[1])
}

package kobj

import (
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// watch registers a descriptor with the number as its data.
func (v *victimSide) watch(set, num int, events uint32) {
	v.must(unix.EpollCtl(set, unix.EPOLL_CTL_ADD, num, &unix.EpollEvent{Events: events, Fd: int32(num), Pad: 7}))
}

func (v *victimSide) epollAt(num int) {
	fd, err := unix.EpollCreate1(0)
	v.must(err)
	v.at(num, fd)
}

func (v *victimSide) eventAt(num int) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK)
	v.must(err)
	v.at(num, fd)
}

// ready lists what an epoll set reports, as "data:events".
func ready(set int) string {
	events := make([]unix.EpollEvent, 20)
	n, err := unix.EpollWait(set, events, 0)
	if err != nil {
		return err.Error()
	}
	var all []string
	for _, e := range events[:n] {
		all = append(all, fmt.Sprintf("%d/%d:%x", e.Fd, e.Pad, e.Events))
	}
	sort.Strings(all)
	return strings.Join(all, " ")
}

// registrations lists an epoll set's registrations without their inodes.
func registrations(t *testing.T, pid, num int) string {
	t.Helper()
	info, err := ReadFDInfo(pid, num)
	if err != nil {
		t.Fatal(err)
	}
	all, err := parseEpoll(info)
	if err != nil {
		t.Fatal(err)
	}
	var s []string
	for _, r := range all {
		s = append(s, fmt.Sprintf("%d:%x:%x", r.num, r.events, r.data))
	}
	sort.Strings(s)
	return strings.Join(s, " ")
}

var victimEpoll = victimProgram("epoll", func(v *victimSide) {
	for num := 101; num <= 106; num++ {
		v.eventAt(num)
	}
	v.epollAt(100)
	v.watch(100, 101, unix.EPOLLIN)
	v.watch(100, 102, unix.EPOLLIN|unix.EPOLLET)
	v.watch(100, 103, unix.EPOLLIN|unix.EPOLLONESHOT)
	v.watch(100, 104, unix.EPOLLIN|unix.EPOLLEXCLUSIVE)
	v.watch(100, 105, unix.EPOLLIN|unix.EPOLLONESHOT)
	v.must(eventWrite(105, 1))
	v.must(eventWrite(101, 1))
	ready(100) // the one-shot of 105 has fired
	v.epollAt(107)
	v.watch(107, 100, unix.EPOLLIN) // a set in a set
	v.watch(107, 106, unix.EPOLLIN)
	v.say("ready")
	for {
		v.hear()
		v.say("%s", ready(100))
	}
})

func TestEpollSetReportsWhatItIsToReport(t *testing.T) {
	v := startVictim(t, victimEpoll)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 107, 100, 101, 102, 103, 104, 105, 106)
	img := p.capture()
	want := registrations(t, v.pid, 100)
	if got := registrations(t, v.pid, 100); got != want {
		t.Errorf("the capture changed the set from %s to %s", want, got)
	}
	v.cont()
	if got := v.ask("wait"); got != "101/7:1" {
		t.Errorf("after the capture the victim's set reports %q, want 101/7:1", got)
	}

	a, _ := p.checkTwice(img)
	if got := registrations(t, os.Getpid(), a.fd(100)); got != want {
		t.Errorf("registrations of the restored set:\n%s, want\n%s", got, want)
	}
	set := a.fd(100)
	if got := ready(set); got != "101/7:1" {
		t.Errorf("the restored set reports %q, want 101/7:1: the counter that is not 0, and not the one-shot that has fired", got)
	}
	if got := ready(a.fd(107)); got != "100/7:1" {
		t.Errorf("the set around it reports %q, want 100/7:1", got)
	}
	for _, num := range []int{102, 103, 104} {
		if err := eventWrite(a.fd(num), 1); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := ready(set), "101/7:1 102/7:1 103/7:1 104/7:1"; got != want {
		t.Errorf("after writes the restored set reports %q, want %q", got, want)
	}
	if got, want := ready(set), "101/7:1 104/7:1"; got != want {
		t.Errorf("then the restored set reports %q, want %q: edge and one-shot are over", got, want)
	}
}

var victimEpollReused = victimProgram("epoll reused", func(v *victimSide) {
	v.epollAt(100)
	v.eventAt(101)
	v.eventAt(102)
	v.eventAt(103)
	v.watch(100, 101, unix.EPOLLIN)
	v.watch(100, 102, unix.EPOLLIN)
	v.watch(100, 103, unix.EPOLLIN)
	// The targets of 101 and 102 go on under other numbers. 101 is free then,
	// 102 another object, which is registered under the same number too.
	v.must(unix.Dup3(101, 111, 0))
	v.must(unix.Close(101))
	v.must(unix.Dup3(102, 112, 0))
	v.must(unix.Close(102))
	v.eventAt(102)
	v.must(unix.EpollCtl(100, unix.EPOLL_CTL_ADD, 102, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: 1102, Pad: 7}))
	v.say("ready")
	v.hear()
})

func TestEpollTargetIsFoundWhereItsNumberWasClosedOrUsedAgain(t *testing.T) {
	v := startVictim(t, victimEpollReused)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 100, 102, 103, 111, 112)
	img := p.capture()
	want := registrations(t, v.pid, 100)
	a, _ := p.checkTwice(img)
	if got := registrations(t, os.Getpid(), a.fd(100)); got != want {
		t.Errorf("registrations of the restored set:\n%s, want\n%s", got, want)
	}
	for _, test := range []struct {
		num  int
		want string
	}{{111, "101/7:1"}, {112, "102/7:1"}, {102, "1102/7:1"}, {103, "103/7:1"}} {
		if err := eventWrite(a.fd(test.num), 1); err != nil {
			t.Fatal(err)
		}
		if got := ready(a.fd(100)); got != test.want {
			t.Errorf("after a write to %d the set reports %q, want %q", test.num, got, test.want)
		}
		if _, err := eventRead(a.fd(test.num)); err != nil {
			t.Fatal(err)
		}
	}
}

var victimEpollSignal = victimProgram("epoll signalfd", func(v *victimSide) {
	v.epollAt(100)
	fd, err := signalFD(1 << (unix.SIGUSR1 - 1))
	v.must(err)
	v.at(101, fd)
	v.watch(100, 101, unix.EPOLLIN)
	v.say("ready")
	v.hear()
})

func TestEpollRegistersASignalFDInItsProcess(t *testing.T) {
	v := startVictim(t, victimEpollSignal)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 100, 101)
	r := p.newMaker(p.capture())
	registered := 0
	call := r.maker.Syscall
	r.maker.Syscall = func(pid int, nr uintptr, args ...any) (uint64, error) {
		if pid == v.pid && nr == unix.SYS_EPOLL_CTL {
			registered++
		}
		return call(pid, nr, args...)
	}
	r.run()
	if registered != 1 {
		t.Errorf("epoll_ctl was called %d times in the process, want 1", registered)
	}
}

func TestATableOfItsOwnIsGoneAfterTheCall(t *testing.T) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[0])
	if err := onOwnTable(func() error { return unix.Close(ends[0]) }); err != nil {
		t.Fatal(err)
	}
	if err := unix.Close(ends[1]); err != nil {
		t.Fatal(err)
	}
	if n, err := unix.Read(ends[0], make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("read = %d, %v, want the end of file: a copy of the writing end is left", n, err)
	}
}

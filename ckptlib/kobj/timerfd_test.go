package kobj

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/testuser"
)

var victimTimerFD = victimProgram("timerfd", func(v *victimSide) {
	timer := func(num, clock, flags int, value, interval time.Duration) {
		fd, err := unix.TimerfdCreate(clock, unix.TFD_NONBLOCK)
		v.must(err)
		v.at(num, fd)
		if flags&unix.TFD_TIMER_ABSTIME != 0 {
			var now unix.Timespec
			v.must(unix.ClockGettime(int32(clock), &now))
			value += time.Duration(now.Nano())
		}
		spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(value)), Interval: unix.NsecToTimespec(int64(interval))}
		v.must(unix.TimerfdSettime(num, flags, &spec, nil))
	}
	timer(100, unix.CLOCK_MONOTONIC, 0, time.Hour, time.Minute)
	timer(101, unix.CLOCK_MONOTONIC, unix.TFD_TIMER_ABSTIME, time.Hour, 0)
	timer(102, unix.CLOCK_REALTIME, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, time.Hour, 0)
	timer(103, unix.CLOCK_MONOTONIC, 0, 0, 0)
	timer(104, unix.CLOCK_MONOTONIC, 0, time.Millisecond, 0)
	timer(105, unix.CLOCK_MONOTONIC, 0, time.Millisecond, 100*time.Second)
	for _, num := range []int{104, 105} {
		for polled(num, unix.POLLIN, 1000) == 0 {
		}
	}
	v.say("ready")
	for {
		var num int
		fmt.Sscan(v.hear(), &num)
		v.say("%s", timerState(num))
	}
})

// timerState tells what can be asked of a timer, the time left in whole
// minutes, rounded.
func timerState(fd int) string {
	var spec unix.ItimerSpec
	if err := unix.TimerfdGettime(fd, &spec); err != nil {
		return err.Error()
	}
	var b [8]byte
	_, err := unix.Read(fd, b[:])
	left := time.Duration(spec.Value.Nano()).Round(time.Minute)
	return fmt.Sprintf("left %v, every %v, ticks %d %v", left, time.Duration(spec.Interval.Nano()), binary.NativeEndian.Uint64(b[:]), err)
}

func TestTimerFDGoesOnWithTheTimeThatWasLeft(t *testing.T) {
	v := startVictim(t, victimTimerFD)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 100, 101, 102, 103, 104, 105)
	img := p.capture()
	v.cont()

	const none = "ticks 0 resource temporarily unavailable"
	a, _ := p.checkTwice(img)
	for num, want := range map[int]string{
		100: "left 1h0m0s, every 1m0s, " + none,
		101: "left 1h0m0s, every 0s, " + none,
		102: "left 1h0m0s, every 0s, " + none,
		103: "left 0s, every 0s, " + none,
		104: "left 0s, every 0s, ticks 1 <nil>",
		105: "left 2m0s, every 1m40s, ticks 1 <nil>",
	} {
		if got := timerState(a.fd(num)); got != want {
			t.Errorf("restored timer %d: %s, want %s", num, got, want)
		}
		if got := v.ask(fmt.Sprint(num)); got != want {
			t.Errorf("after the capture the victim's timer %d: %s, want %s", num, got, want)
		}
	}
}

func TestTimerFDKeepsHowItWasSet(t *testing.T) {
	v := startVictim(t, victimTimerFD)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 100, 101, 102)
	img := p.capture()
	a := p.restore(img)
	for num, want := range map[int]uint64{100: 0, 101: 1, 102: 3} {
		info, err := ReadFDInfo(os.Getpid(), a.fd(num))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := info.Uint("settime flags", 8); got != want || err != nil {
			t.Errorf("settime flags of restored timer %d = %d, %v, want %d", num, got, err, want)
		}
	}
}

func TestAnAlarmOfTheWallClockDoesNotWaitForTheRestart(t *testing.T) {
	v := startVictim(t, victimTimerFD)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 101, 102)
	img := p.capture()
	for i := range img.Files {
		timer := img.Files[i].TimerFD
		if timer.Clock == unix.CLOCK_REALTIME {
			timer.Expires -= int64(2 * time.Hour) // as if the restart came two hours later
		}
	}
	a := p.restore(img)
	if got := polled(a.fd(102), unix.POLLIN, 10000); got&unix.POLLIN == 0 {
		t.Error("an absolute CLOCK_REALTIME timer whose time has passed does not expire")
	}
	if got := polled(a.fd(101), unix.POLLIN, 0); got != 0 {
		t.Error("a CLOCK_MONOTONIC timer with an hour left has expired")
	}
}

// A timer may expire faster than anybody can look at it, on a busy host also one
// with an interval of milliseconds.
func TestTimerFDThatIsAlwaysFoundExpiredStaysArmed(t *testing.T) {
	testuser.Again(t)
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(1000), Interval: unix.NsecToTimespec(1000)}
	if err := unix.TimerfdSettime(fd, 0, &spec, nil); err != nil {
		t.Fatal(err)
	}
	again := recreated(t, fd)
	var b [8]byte
	for range 3 {
		if polled(again, unix.POLLIN, 30000) == 0 {
			t.Fatal("the restored timer does not expire any more")
		}
		if n, err := unix.Read(again, b[:]); n != 8 || err != nil {
			t.Fatalf("reading the restored timer gives %d bytes, %v", n, err)
		}
	}
}

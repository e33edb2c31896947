package kobj

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

const devptsEnv = "KOBJ_TEST_DEVPTS"

// inOwnDevpts runs the test once more with a devpts of its own, as a pod has,
// and returns true in there. The numbers of terminals are its alone then.
func inOwnDevpts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(devptsEnv) == t.Name() {
		err := errors.Join(
			unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
			unix.Mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620"),
			unix.Mount("/dev/pts/ptmx", "/dev/ptmx", "", unix.MS_BIND, ""))
		if err != nil {
			t.Fatal(err)
		}
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), devptsEnv+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a devpts of its own: %v\n%s", err, out)
	}
	return false
}

// terminalAt makes a terminal with the given settings, its master and slave
// under two numbers.
func (v *victimSide) terminalAt(master, slave int, change func(*termios2)) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	v.must(err)
	v.at(master, fd)
	v.must(unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	v.must(err)
	fd, err = unix.Open(slavePath(n), unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	v.must(err)
	v.at(slave, fd)
	own, err := getTermios(slave)
	v.must(err)
	if change != nil {
		change(&own)
	}
	v.must(setTermios(slave, own))
}

func rawTerminal(t *termios2) {
	t.Iflag, t.Oflag = 0, 0
	t.Lflag &^= unix.ICANON | unix.ECHO | unix.ISIG | unix.IEXTEN
	t.CC[unix.VMIN], t.CC[unix.VTIME] = 1, 0
}

func silentTerminal(t *termios2) { t.Lflag &^= unix.ECHO }

func TestTerminalKeepsItsNumberAndItsSettings(t *testing.T) {
	if !inOwnDevpts(t) {
		return
	}
	v := startVictim(t, victimTerminal, "raw", `""`, `""`)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 100, 101)
	img := p.capture()
	v.kill()
	p.forget()
	a := p.restore(img)
	if n, err := unix.IoctlGetInt(a.fd(100), unix.TIOCGPTN); n != 1 || err != nil {
		t.Errorf("number of the restored terminal = %d, %v, want 1", n, err)
	}
	if link, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", a.fd(101))); link != "/dev/pts/1" {
		t.Errorf("the restored slave is %s, want /dev/pts/1", link)
	}
	want, _ := termiosOf(img.Files[0].PTY.Termios)
	got, err := getTermios(a.fd(101))
	if err != nil || got != want || got.Lflag&unix.ICANON != 0 {
		t.Errorf("settings of the restored terminal = %+v, %v, want %+v", got, err, want)
	}
	ws, err := unix.IoctlGetWinsize(a.fd(101), unix.TIOCGWINSZ)
	if d := cmp.Diff(&unix.Winsize{Row: 33, Col: 99, Xpixel: 1, Ypixel: 2}, ws); d != "" || err != nil {
		t.Errorf("window size of the restored terminal: %v\n%s", err, d)
	}
	if entries, _ := os.ReadDir("/dev/pts"); len(entries) != 2 {
		t.Errorf("/dev/pts has %v, want 1 and ptmx: others were made in between", entries)
	}
}

var victimTerminalStates = victimProgram("terminal states", func(v *victimSide) {
	v.terminalAt(100, 101, silentTerminal) // packet mode, exclusive use of the slave
	v.must(writeAll(101, []byte("in packets")))
	v.must(unix.IoctlSetPointerInt(100, unix.TIOCPKT, 1))
	v.must(unix.IoctlSetInt(101, unix.TIOCEXCL, 0))
	v.terminalAt(102, 103, nil) // the master is closed
	v.must(unix.Close(102))
	v.terminalAt(104, 105, silentTerminal) // the slave is closed
	v.must(writeAll(105, []byte("farewell")))
	v.must(unix.Close(105))
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NONBLOCK, 0) // never opened
	v.must(err)
	v.at(106, fd)
	v.say("ready")
	for {
		num, err := strconv.Atoi(v.hear())
		v.must(err)
		v.say("%s", readings(num))
	}
})

func TestTerminalStatesComeBack(t *testing.T) {
	if !inOwnDevpts(t) {
		return
	}
	v := startVictim(t, victimTerminalStates)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 103, 101, 100, 104, 106)
	img := p.capture()
	v.cont()
	want := map[int]string{
		100: `"\x00in packets"` + again,
		104: `"farewell" input/output error`,
		106: again,
	}
	for num, reads := range want {
		if got := v.ask(fmt.Sprint(num)); strings.TrimSpace(got) != strings.TrimSpace(reads) {
			t.Errorf("after the capture the victim reads %s from %d, want %s", got, num, reads)
		}
	}
	v.kill()
	p.forget()

	a := p.restore(img)
	for num, reads := range want {
		if got := readings(a.fd(num)); strings.TrimSpace(got) != strings.TrimSpace(reads) {
			t.Errorf("restored master %d reads %s, want %s", num, got, reads)
		}
	}
	if _, err := unix.Write(a.fd(103), []byte("x")); err != unix.EIO {
		t.Errorf("write to a slave that was hung up gives %v, want EIO", err)
	}
	if on, err := ttyFlag(a.fd(101), unix.TIOCGEXCL); !on || err != nil {
		t.Errorf("exclusive use of the restored slave = %t, %v, want true", on, err)
	}
	if on, err := ttyFlag(a.fd(106), unix.TIOCGPTLCK); !on || err != nil {
		t.Errorf("lock of the terminal that was never opened = %t, %v, want true", on, err)
	}
}

// agentPod is a Capturer of an agent that holds a master itself.
type agentPod struct {
	*testPod
	master int
}

func (p agentPod) Terminal(int) (int, bool) { return p.master, true }

func TestTheAgentsMasterIsLeftInTheStash(t *testing.T) {
	if !inOwnDevpts(t) {
		return
	}
	v := startVictim(t, victimTerminal, "silent", `"typed\n"`, `""`)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 100, 101)
	var f image.File
	slave := p.sources[2]
	if err := capturePTY(agentPod{p, p.sources[1].FD}, slave, &f); err != nil {
		t.Fatal(err)
	}
	f.ID, f.Flags = 1, slave.Flags
	v.kill()
	p.forget()

	r := p.newMaker(&image.Pod{Files: []image.File{f}})
	fd, err := Restore(r.maker, &f)
	if err != nil {
		t.Fatal(err)
	}
	r.fds[1] = fd
	master, ok := r.maker.Take(MasterName(1))
	if !ok {
		t.Fatal("no master is left for the agent")
	}
	defer unix.Close(master)
	if got := readings(fd); got != `"typed\n"`+again {
		t.Errorf("the restored slave reads %s, want what had been typed", got)
	}
	if err := writeAll(master, []byte("more\n")); err != nil {
		t.Fatal(err)
	}
	if polled(fd, unix.POLLIN, 5000); readings(fd) != `"more\n"`+again {
		t.Error("what the agent writes to the master does not arrive")
	}
}

func TestATerminalOutsideOfTheJobIsRefused(t *testing.T) {
	if !inOwnDevpts(t) {
		return
	}
	v := startVictim(t, victimTerminal, "silent", `""`, `""`)
	v.stop()
	// Another devpts over the one where the victim found its terminal.
	if err := unix.Mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666"); err != nil {
		t.Fatal(err)
	}
	p := newTestPod(t)
	p.add(v.pid, 101)
	var unsupported *UnsupportedError
	if err := p.tryCapture(); !errors.As(err, &unsupported) {
		t.Errorf("capture gives %v, want an UnsupportedError", err)
	}
}

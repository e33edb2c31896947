package cli_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/gompirun/gompirun/ci/screentest"
)

// A desk is where a user works with terminals: his directory.
type desk struct {
	t    *testing.T
	dir  string
	cred *syscall.Credential
}

// atDesks runs a test as the user it is, and if that is root as an ordinary one.
func atDesks(t *testing.T, test func(t *testing.T, d desk)) {
	t.Run("as this user", func(t *testing.T) { test(t, newDesk(t, nil)) })
	if os.Geteuid() == 0 {
		t.Run("as an ordinary user", func(t *testing.T) { test(t, newDesk(t, &syscall.Credential{Uid: 2345, Gid: 2345})) })
	}
}

func newDesk(t *testing.T, cred *syscall.Credential) desk {
	t.Helper()
	d := desk{t, t.TempDir(), cred}
	// Brackets around what is pasted would stand before each line of output.
	err := os.WriteFile(filepath.Join(d.dir, "inputrc"), []byte("set enable-bracketed-paste off\n"), 0o644)
	if cred != nil {
		err = errors.Join(err, os.Chmod(filepath.Dir(d.dir), 0o755), os.Chown(d.dir, int(cred.Uid), int(cred.Gid)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d desk) command(args ...string) *exec.Cmd {
	cmd := command(d.dir, args...)
	cmd.Env = append(os.Environ(), "TERM=xterm", "PS1=$ ", "HOME="+d.dir, "HISTFILE=", "INPUTRC="+filepath.Join(d.dir, "inputrc"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: d.cred}
	return cmd
}

// start runs gompirun in a terminal.
func (d desk) start(rows, cols uint16, args ...string) *screentest.Screen {
	d.t.Helper()
	return screentest.Start(d.t, d.command(args...), rows, cols)
}

// shell is a bash, which reads no files of the user's, in a terminal.
func (d desk) shell(rows, cols uint16) *screentest.Screen {
	d.t.Helper()
	s := d.start(rows, cols, "--ckpt-dir", "c", "bash", "--norc", "--noprofile")
	s.Await(`\$ $`)
	return s
}

// checkpoint asks for one from another terminal.
func (d desk) checkpoint() {
	d.t.Helper()
	if r := finish(d.t, d.command("checkpoint", "c")); r.status != 0 {
		d.t.Fatalf("checkpoint = %+v", r)
	}
}

// inFront is a command that says when it has come to the foreground of the
// terminal (keys typed before are the shell's), when it is brought back there, and
// the size of the window when that changes. The number tells it from others. It
// starts no processes by itself: Ctrl-Z between a shell's vfork and exec stops the
// child only, and the shell waits for it. Its sleeps are short: a signal that comes
// between perl's look for one and the sleep is noticed after that.
func inFront(number int) string {
	return fmt.Sprintf(`perl -e '$|=1; $SIG{CONT}=sub{print "back\n"}; $SIG{WINCH}=sub{print "now ",qx(stty size)}; print "in front\n"; sleep 1 while %d'`, number)
}

func TestProgramHasATerminalWithJobControl(t *testing.T) {
	atDesks(t, func(t *testing.T, d desk) {
		s := d.shell(33, 99)
		s.Ask("tty", `\n/dev/pts/0\r\n`)
		s.Ask("stty size", `\n33 99\r\n`)
		s.Ask("ps -o tty= -p $$", `\npts/0\s*\r\n`)
		s.Ask("test -t 2 && echo err is one", `\nerr is one\r\n`)
		s.Ask("echo x >/dev/tty", `\nx\r\n`)
		// Keys that make signals are for the program, not for gompirun.
		s.Ask(inFront(1000), `\nin front\r\n`)
		s.Keys("\x03")
		s.Await(`\^C`)
		s.Ask("echo status $?", `\nstatus 130\r\n`)
		s.Ask(inFront(1001), `\nin front\r\n`)
		s.Keys("\x1a")
		s.Await(`\[1\]\+\s+Stopped .*1001`)
		s.Ask("jobs", `\[1\]\+\s+Stopped .*1001`)
		s.Ask("fg", `\nback\r\n`)
		s.Keys("\x03")
		s.Await(`\^C`)
		s.Ask(inFront(1006), `\nin front\r\n`)
		s.Resize(20, 70)
		s.Await(`now 20 70\r\n`)
		s.Keys("\x03")
		s.Await(`\^C`)
		s.Keys("exit 7\r")
		if status := s.End(); status != 7 {
			t.Errorf("gompirun ends with %d, want 7; shown: %q", status, s.Text())
		}
	})
}

func TestTerminalIsRestoredIntoAnotherOne(t *testing.T) {
	atDesks(t, func(t *testing.T, d desk) {
		s := d.shell(33, 99)
		s.Ask("v=kept; stty -echoctl; echo set", `\nset\r\n`)
		s.Ask("sleep 1002 &", `\[1\] \d+`)
		s.Ask(inFront(1003), `\nin front\r\n`)
		s.Keys("\x1a")
		s.Await(`\[2\]\+\s+Stopped .*1003`)
		s.Ask("bash --norc --noprofile", `\$ $`)
		s.Ask("w=inner; echo set", `\nset\r\n`)
		s.Keys("echo typed a")
		s.Await(`typed a$`)
		d.checkpoint()
		s.Keys("head\r")
		s.Await(`\ntyped ahead\r\n`)
		if strings.Contains(s.Text(), "paused") {
			t.Errorf("the checkpoint is told on the program's screen: %q", s.Text())
		}
		s.Kill()

		s = d.start(20, 70, "restart", "c")
		s.Await(`checkpoint 1 restarted`)
		s.Keys("head\r")
		s.Await(`\ntyped ahead\r\n`)
		s.Ask("echo $w; tty; stty size", `\ninner\r\n/dev/pts/0\r\n20 70\r\n`)
		s.Ask("echo x >/dev/tty", `\nx\r\n`) // the inner shell has a controlling terminal
		s.Ask(inFront(1004), `\nin front\r\n`)
		s.Keys("\x1a")
		s.Await(`Stopped .*1004`) // and job control
		s.Ask("fg", `\nback\r\n`)
		s.Keys("\x03")
		s.Await(`\n\$ $`)
		s.Ask("exit", `exit\r\n\$ $`)
		s.Ask("echo $v; stty -a", `\nkept\r\n(?s:.*) -echoctl`)
		s.Ask("jobs", `(?s)\[1\]-\s+Running\s+sleep 1002 &.*\[2\]\+\s+Stopped .*1003`)
		s.Ask("fg %2", `\nback\r\n`)
		s.Keys("\x03")
		s.Ask("kill %1; wait; exit 5", `exit 5`)
		if status := s.End(); status != 5 {
			t.Errorf("gompirun ends with %d, want 5; shown: %q", status, s.Text())
		}
	})
}

// A program in another window is told so once, whether or not that has another size.
func TestProgramIsToldOnceOfAnotherWindow(t *testing.T) {
	d := newDesk(t, nil)
	s := d.start(24, 80, "--ckpt-dir", "c", "perl", "-e", `$|=1; $SIG{WINCH}=sub{$n++; print "now $n\n"}; print "up\n"; print "told $n\n" while <STDIN>`)
	s.Await(`up\r\n`)
	for i, window := range [][2]uint16{{24, 80}, {33, 99}, {33, 99}} {
		d.checkpoint()
		s.Kill()
		s = d.start(window[0], window[1], "restart", "c")
		s.Await(fmt.Sprintf(`now %d\r\n`, i+1))
		if told := s.Ask("", `told (\d+)\r\n`); told != fmt.Sprint(i+1) {
			t.Errorf("in window %d of %v the program has been told %s times of another one, want %d", i+1, window, told, i+1)
		}
	}
}

// What has been typed and not been read lies in the kernel.
func TestWhatIsTypedAheadIsKept(t *testing.T) {
	atDesks(t, func(t *testing.T, d desk) {
		s := d.start(24, 80, "--ckpt-dir", "c", "sh", "-c", "echo up; until test -e go; do sleep 0.05; done; read a; read b; echo got $a and $b")
		s.Await(`up\r\n`)
		s.Keys("one\rtw")
		s.Await(`tw$`) // the echo
		d.checkpoint()
		s.Kill()
		s = d.start(24, 80, "restart", "c")
		s.Await(`checkpoint 1 restarted`)
		if err := os.WriteFile(filepath.Join(d.dir, "go"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s.Keys("o\r")
		s.Await(`\ngot one and two\r\n`)
		if status := s.End(); status != 0 {
			t.Errorf("gompirun ends with %d, want 0", status)
		}
	})
}

func TestTerminalIsPutBackAtEveryEnd(t *testing.T) {
	for _, tt := range []struct {
		name   string
		end    func(d desk, s *screentest.Screen)
		status int
		says   string
	}{
		{"signal", func(_ desk, s *screentest.Screen) { s.Signal(syscall.SIGHUP) }, 75, "checkpoint 1: "},
		{"checkpoint --stop", func(d desk, _ *screentest.Screen) { finish(d.t, d.command("checkpoint", "--stop", "c")) }, 75, "checkpoint 1: "},
		{"the program's death", func(_ desk, s *screentest.Screen) { s.Keys("kill -9 $$\r") }, 137, ""},
		{"loss of the agent", func(d desk, s *screentest.Screen) {
			var agent int
			if _, err := fmt.Sscan(children(d.t, s.PID()), &agent); err != nil {
				d.t.Fatal(err)
			}
			_ = syscall.Kill(agent, syscall.SIGKILL)
		}, 125, "the agent on "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t, nil)
			s := d.shell(24, 80)
			if !s.Raw() {
				t.Error("the terminal is not raw while the program runs")
			}
			tt.end(d, s)
			if status := s.End(); status != tt.status {
				t.Errorf("gompirun ends with %d, want %d; shown: %q", status, tt.status, s.Text())
			}
			if tt.says != "" {
				s.Await(`gompirun: ` + regexp.QuoteMeta(tt.says))
			}
		})
	}
}

// children lists the processes that a process has started.
func children(t *testing.T, pid int) string {
	t.Helper()
	all, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	var out strings.Builder
	for _, f := range all {
		b, rerr := os.ReadFile(f)
		err = errors.Join(err, rerr)
		out.Write(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// A stopped gompirun gives the terminal back to the shell that it was started
// from, and takes it again when it goes on.
func TestStoppedRunLeavesTheTerminal(t *testing.T) {
	d := newDesk(t, nil)
	s := screentest.Start(t, exec.Command("bash", "--norc", "--noprofile"), 24, 80)
	s.Ask("PS1='outer> '", `outer> $`)
	s.Ask("cd "+d.dir+"; export PS1='inner> '; "+binary+" bash --norc --noprofile", `inner> $`)
	s.Ask("sleep 1005 & kill -STOP $!; echo $$ made", `made\r\n`)
	s.Signal(syscall.SIGCONT) // harmless: it is the outer shell's
	for _, pid := range strings.Fields(children(t, s.PID())) {
		var n int
		if _, err := fmt.Sscan(pid, &n); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(n, syscall.SIGTSTP); err != nil {
			t.Fatal(err)
		}
	}
	s.Await(`\[1\]\+\s+Stopped .*gompirun bash`)
	s.Ask("PS1='outer> '; stty -a", `(?s) icanon.* echo `)
	s.Ask("fg", `bash --norc --noprofile\r\n`)
	s.Ask("jobs", `Stopped\s+sleep 1005`)
	s.Ask("kill -9 %1; exec true", `outer> $`)
	s.Keys("exit\r")
	s.End()
}

func TestWithoutATerminalOnBothSidesNothingChanges(t *testing.T) {
	d := newDesk(t, nil)
	neither := []string{"sh", "-c", "test -t 0 || test -t 1 || echo neither"}
	if r := gompirun(t, d.dir, neither...); r.out != "neither\n" {
		t.Errorf("with pipes it prints %q", r.out)
	}
	// Only the output is a terminal.
	s := d.start(24, 80, "sh", "-c", binary+" sh -c 'test -t 0 || test -t 1 || echo neither' </dev/null")
	s.Await(`neither\r\n`)
	s = d.start(24, 80, append([]string{"--tty", "no"}, neither...)...)
	s.Await(`neither\r\n`)
	if r := gompirun(t, d.dir, "--tty", "yes", "sh", "-c", "test -t 0 && test -t 1 && stty size; read x || echo end"); r.out != "24 80\r\nend\r\n" {
		t.Errorf("with --tty yes it prints %q, want the size of a terminal and the end of the input", r.out)
	}
	if r := gompirun(t, d.dir, "--tty", "yes", "-np", "2", "--mpi", "none", "true"); r.status != 2 {
		t.Errorf("--tty yes with two processes = %+v, want status 2", r)
	}
}

package programs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/gompirun/gompirun/ci/screentest"
)

// user is whom programs run as if this is root: nobody, since some want a user who
// has a name.
const user = 65534

// desk is where the user works: a home directory with gompirun in it.
type desk struct {
	t   *testing.T
	dir string
}

func newDesk(t *testing.T) desk {
	t.Helper()
	d := desk{t, t.TempDir()}
	b, err := os.ReadFile("../../bin/gompirun")
	if err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	d.write("gompirun", string(b), 0o755)
	// Brackets around what is pasted would stand before each line of output.
	d.write(".inputrc", "set enable-bracketed-paste off\n", 0o644)
	if err := os.Chmod(filepath.Dir(d.dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(d.dir, user, user); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(d.leave)
	return d
}

// leave waits until nobody runs the home directory's gompirun: as long as an
// agent does, programs of its job may write files there.
func (d desk) leave() {
	deadline := time.Now().Add(time.Minute)
	for {
		f, err := os.OpenFile(filepath.Join(d.dir, "gompirun"), os.O_WRONLY, 0)
		if err == nil {
			_ = f.Close() // nothing was written
			return
		}
		if !errors.Is(err, syscall.ETXTBSY) || time.Now().After(deadline) {
			d.t.Errorf("wait for the end of the job: %v", err)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// write makes a file in the home directory.
func (d desk) write(name, content string, mode os.FileMode) {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	err := os.WriteFile(path, []byte(content), mode)
	if os.Geteuid() == 0 {
		err = errors.Join(err, os.Chown(path, user, user))
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d desk) command(args ...string) *exec.Cmd {
	return d.run(filepath.Join(d.dir, "gompirun"), args...)
}

// shell runs a command to its end, which must be a good one.
func (d desk) shell(command string) {
	d.t.Helper()
	if out, err := d.run("/bin/sh", "-c", command).CombinedOutput(); err != nil {
		d.t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// run is a program of the user's in the home directory.
func (d desk) run(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = d.dir
	cmd.Env = []string{
		"PATH=/usr/local/bin:/usr/bin:/bin:/usr/games", "HOME=" + d.dir, "TERM=xterm", "LANG=C.UTF-8",
		"PS1=$ ", "SHELL=/bin/bash", "SCREENDIR=" + filepath.Join(d.dir, ".screen"), "TMUX_TMPDIR=" + d.dir,
	}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	}
	return cmd
}

// A step is something typed and what must be shown then.
type step struct{ keys, shows string }

// A program is one that is tested.
type program struct {
	name  string
	small bool // part of make test
	argv  []string
	// files are what the home directory has, by name.
	files map[string]string
	// before the first checkpoint, and after the last restart.
	before, after []step
	// redraws is what it shows by itself in another window, before it takes keys; "" if
	// that need not be awaited.
	redraws string
}

func (p *program) test(t *testing.T) {
	d := newDesk(t)
	for name, content := range p.files {
		d.write(name, content, 0o755)
	}
	play := func(s *screentest.Screen, steps []step) {
		t.Helper()
		for _, x := range steps {
			s.Keys(x.keys)
			s.Await(x.shows)
		}
	}
	s := screentest.Start(t, d.command(append([]string{"--ckpt-dir", "ckpt", "-v"}, p.argv...)...), 33, 99)
	play(s, p.before)
	// The second restart is from a checkpoint of what the first one made.
	for gen, window := range [][2]uint16{{40, 132}, {24, 80}} {
		out, err := d.command("checkpoint", "ckpt").CombinedOutput()
		if err != nil {
			t.Fatalf("checkpoint: %v\n%s", err, out)
		}
		t.Logf("%s", out)
		s.Kill()
		s = screentest.Start(t, d.command("restart", "ckpt"), window[0], window[1])
		t.Logf("%s", s.Await(fmt.Sprintf(`checkpoint %d restarted.*\n`, gen+1)))
		s.Await(p.redraws)
	}
	play(s, p.after)
}

// all tells whether this is make test-programs.
func all() bool { return os.Getenv("GOMPIRUN_PROGRAMS") == "all" }

func TestPrograms(t *testing.T) {
	for i := range table {
		p := &table[i]
		if p.small || all() {
			t.Run(p.name, p.test)
		}
	}
}

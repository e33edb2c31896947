package jobs

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gompirun/gompirun/ci/clustertest"
)

// talk is a gompirun whose standard input the test writes, and whose outputs it
// reads apart.
type talk struct {
	s    *site
	cmd  *exec.Cmd
	in   io.WriteCloser
	done chan error

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced when there is more output
	out, err bytes.Buffer
}

// part is one of the outputs.
type part struct {
	t *talk
	b *bytes.Buffer
}

func (p part) Write(b []byte) (int, error) {
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	close(p.t.changed)
	p.t.changed = make(chan struct{})
	return p.b.Write(b)
}

func (s *site) talk(host int, args ...string) *talk {
	s.t.Helper()
	c := &talk{s: s, done: make(chan error, 1), changed: make(chan struct{})}
	c.cmd = s.Command(host, append([]string{clustertest.HomeOnHosts + "/gompirun"}, args...)...)
	c.cmd.Stdout, c.cmd.Stderr = part{c, &c.out}, part{c, &c.err}
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		s.t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { c.done <- c.cmd.Wait() }()
	s.t.Cleanup(func() {
		_ = c.cmd.Process.Kill() // most have ended
		if s.t.Failed() {
			c.mu.Lock()
			defer c.mu.Unlock()
			s.t.Logf("gompirun %s on h%d wrote\n%s\nand to its standard error\n%s", strings.Join(args, " "), host, &c.out, &c.err)
		}
	})
	return c
}

func (c *talk) say(line string) {
	c.s.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.s.t.Fatalf("write %q to the job's input: %v", line, err)
	}
}

// hear waits until an output has a match.
func (c *talk) hear(from *bytes.Buffer, pattern string) {
	c.s.t.Helper()
	re := regexp.MustCompile(pattern)
	limit := time.After(patience)
	for {
		c.mu.Lock()
		found, changed := re.Match(from.Bytes()), c.changed
		c.mu.Unlock()
		if found {
			return
		}
		select {
		case <-changed:
		case <-limit:
			c.s.t.Fatalf("no %q came within %v", pattern, patience)
		}
	}
}

// end waits for the end and returns the exit status.
func (c *talk) end() int {
	c.s.t.Helper()
	select {
	case err := <-c.done:
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return exit.ExitCode()
		}
		if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
			c.s.t.Fatal(err)
		}
	case <-time.After(patience):
		c.s.t.Fatalf("the job did not end within %v", patience)
	}
	return 0
}

// crashed is the status when rank 0 got SIGSEGV, as the native launchers have it.
var crashed = map[string]int{"plain": 139, "openmpi": 139, "mpich": 11}

func TestInputOutputAndStatusAreTheProgramsAlsoAfterARestart(t *testing.T) {
	for _, family := range append([]string{"plain"}, families...) {
		t.Run(family, func(t *testing.T) {
			s := newSite(t, 1)
			program := s.compile(family, "talk")
			run := []string{"--ckpt-dir", "ck", "--mpi", "none", program}
			if family != "plain" {
				run = []string{"--ckpt-dir", "ck", "-np", "2", "--mpi", family, program}
			}
			c := s.talk(1, run...)
			c.hear(&c.out, `(?m)^out ready$`)
			c.say("say before")
			c.hear(&c.out, `(?m)^out before$`)
			c.hear(&c.err, `(?m)^err before$`)
			s.checkpoint(1, "ck", "--stop")
			if n := c.end(); n != 75 {
				t.Errorf("the run that was checkpointed and stopped ended with %d, want 75", n)
			}
			for _, last := range []struct {
				line string
				want int
			}{{"exit 3", 3}, {"crash", crashed[family]}, {"abort 42", 42}, {"", 0}} {
				c := s.talk(1, "restart", "ck")
				c.say("say after")
				c.hear(&c.out, `(?m)^out after$`)
				c.hear(&c.err, `(?m)^err after$`)
				if last.line == "" {
					if err := c.in.Close(); err != nil {
						t.Fatal(err)
					}
					c.hear(&c.out, `(?m)^out end of input$`)
				} else {
					c.say(last.line)
				}
				if n := c.end(); n != last.want {
					t.Errorf("%q after the restart: the run ended with %d, want %d", last.line, n, last.want)
				}
				if strings.Contains(c.out.String(), "err ") || strings.Contains(c.err.String(), "out ") || strings.Contains(c.out.String(), "gompirun:") {
					t.Errorf("the outputs are mixed: %q and %q", &c.out, &c.err)
				}
				if strings.Contains(c.out.String(), "before") {
					t.Errorf("after the restart what was said before it came again: %q", &c.out)
				}
			}
		})
	}
}

func TestStatusOfAJobWithoutCheckpointIsTheProgramsOwn(t *testing.T) {
	for _, family := range append([]string{"plain"}, families...) {
		t.Run(family, func(t *testing.T) {
			s := newSite(t, 1)
			program := s.compile(family, "talk")
			run := []string{"--mpi", "none", program}
			if family != "plain" {
				run = []string{"-np", "2", "--mpi", family, program}
			}
			for line, want := range map[string]int{"exit 0": 0, "exit 7": 7, "crash": crashed[family], "abort 42": 42} {
				c := s.talk(1, run...)
				c.say(line)
				if n := c.end(); n != want {
					t.Errorf("%q: the run ended with %d, want %d", line, n, want)
				}
			}
			if out, err := s.Command(1, "ls", "-d", "ckpt-talk").CombinedOutput(); err == nil {
				t.Errorf("jobs that nobody checkpointed left %s", out)
			}
		})
	}
}

package jobs

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gompirun/gompirun/ci/clustertest"
)

// patience bounds the wait for one line of a job: a machine of two processors
// may have much else to do. Jobs of very many ranks get more.
var patience = 120 * time.Second

// site is a cluster with the binaries in the user's home directory, which all
// hosts share.
type site struct {
	*clustertest.Cluster
	t     *testing.T
	hosts int
}

func newSite(t *testing.T, hosts int) *site {
	t.Helper()
	s := &site{clustertest.Up(t, hosts), t, hosts}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	s.copy(filepath.Join(root, "bin", "gompirun"), "gompirun")
	programs, err := filepath.Glob(filepath.Join(root, "bin", "nas", "*", "*"))
	if err != nil || len(programs) == 0 {
		t.Fatalf("no programs in bin/nas (%v): run make build first", err)
	}
	for _, p := range programs {
		s.copy(p, filepath.Join(filepath.Base(filepath.Dir(p)), filepath.Base(p)))
	}
	return s
}

// copy puts a program into the shared home directory.
func (s *site) copy(from, to string) {
	s.t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		s.t.Fatalf("%v: run make build first", err)
	}
	to = filepath.Join(s.Home(), to)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
		s.t.Fatal(err)
	}
}

// run is a gompirun command on a host whose output is read while it runs.
type run struct {
	s     *site
	cmd   *exec.Cmd
	lines chan string
	done  chan struct{}
	mu    sync.Mutex
	all   bytes.Buffer // standard output and error, for messages
	err   error
}

// start runs gompirun on a host.
func (s *site) start(host int, env []string, args ...string) *run {
	s.t.Helper()
	return s.startWith(nil, host, env, args...)
}

// startWith is start with an input.
func (s *site) startWith(in io.Reader, host int, env []string, args ...string) *run {
	s.t.Helper()
	argv := append([]string{"env"}, env...)
	argv = append(argv, clustertest.HomeOnHosts+"/gompirun")
	r := &run{s: s, cmd: s.Command(host, append(argv, args...)...), lines: make(chan string, 10000), done: make(chan struct{})}
	r.cmd.Stdin = in
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	r.cmd.Stderr = lockedWriter{r}
	if err := r.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(r.done)
		sc := bufio.NewScanner(out)
		for sc.Scan() {
			r.note(sc.Text() + "\n")
			r.lines <- sc.Text()
		}
		close(r.lines)
		r.err = r.cmd.Wait()
	}()
	s.t.Cleanup(func() {
		_ = r.cmd.Process.Kill() // most have ended
		<-r.done
		if s.t.Failed() {
			s.t.Logf("gompirun %s on h%d said:\n%s", strings.Join(args, " "), host, r.output())
		}
	})
	return r
}

type lockedWriter struct{ r *run }

func (w lockedWriter) Write(b []byte) (int, error) { w.r.note(string(b)); return len(b), nil }

func (r *run) note(s string) { r.mu.Lock(); r.all.WriteString(s); r.mu.Unlock() }

func (r *run) output() string { r.mu.Lock(); defer r.mu.Unlock(); return r.all.String() }

// wait reads lines until one matches.
func (r *run) wait(pattern string) string {
	r.s.t.Helper()
	re := regexp.MustCompile(pattern)
	limit := time.After(patience)
	for {
		select {
		case l, ok := <-r.lines:
			if !ok {
				r.s.t.Fatalf("the job ended before it said %q:\n%s", pattern, r.output())
			}
			if re.MatchString(l) {
				return l
			}
		case <-limit:
			r.s.t.Fatalf("the job did not say %q within %v:\n%s", pattern, patience, r.output())
		}
	}
}

// progress waits for n iterations.
func (r *run) progress(n int) {
	r.s.t.Helper()
	for range n {
		r.wait(`^ Iteration`)
	}
}

// status waits for the end and returns the exit status.
func (r *run) status() int {
	r.s.t.Helper()
	go func() {
		for range r.lines { // the rest is in output
		}
	}()
	select {
	case <-r.done:
	case <-time.After(patience):
		r.s.t.Fatalf("the job did not end within %v:\n%s", patience, r.output())
	}
	var exit *exec.ExitError
	if errors.As(r.err, &exit) {
		return exit.ExitCode()
	}
	if r.err != nil {
		r.s.t.Fatal(r.err)
	}
	return 0
}

// gompirun runs a command to its end and returns its output and status.
func (s *site) gompirun(host int, args ...string) (string, int) {
	s.t.Helper()
	r := s.start(host, nil, args...)
	n := r.status()
	return r.output(), n
}

// checkpoint asks for one now, from the host where the run was started.
func (s *site) checkpoint(host int, dir string, args ...string) {
	s.t.Helper()
	if out, n := s.gompirun(host, append([]string{"checkpoint", dir}, args...)...); n != 0 {
		s.t.Fatalf("gompirun checkpoint = %d, want 0:\n%s", n, out)
	}
}

// generation is what `ls --json` promises.
type generation struct {
	Generation   int     `json:"generation"`
	Created      string  `json:"created"`
	Pods         int     `json:"pods"`
	Processes    int     `json:"processes"`
	Ranks        int     `json:"ranks"`
	BytesLogical int64   `json:"bytes_logical"`
	BytesWritten int64   `json:"bytes_written"`
	PauseMS      float64 `json:"pause_ms"`
	DurationMS   float64 `json:"duration_ms"`
	Complete     bool    `json:"complete"`
}

func (s *site) ls(host int, dir string) []generation {
	s.t.Helper()
	cmd := s.Command(host, clustertest.HomeOnHosts+"/gompirun", "ls", "--json", dir)
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("ls --json: %v", err)
	}
	var list []generation
	if err := json.Unmarshal(out, &list); err != nil {
		s.t.Fatalf("ls --json printed %q: %v", out, err)
	}
	return list
}

// ranks counts the processes of a program on a host.
func (s *site) ranks(host int, name string) int { return len(s.processes(host, name)) }

// processes are those of a program on a host.
func (s *site) processes(host int, name string) []int {
	var out []int
	for _, pid := range s.Procs(host) {
		b, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "comm"))
		if err == nil && strings.TrimSpace(string(b)) == name {
			out = append(out, pid)
		}
	}
	return out
}

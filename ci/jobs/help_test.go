package jobs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// compile puts a program of testdata into the home directory, made with the
// compiler of an MPI family or, for "plain", without MPI, and with options of its
// own.
func (s *site) compile(family, name string, options ...string) string {
	s.t.Helper()
	compiler := map[string]string{"openmpi": "mpicc.openmpi", "mpich": "mpicc.mpich", "plain": "gcc"}[family]
	to := filepath.Join(family, name)
	if err := os.MkdirAll(filepath.Join(s.Home(), family), 0o755); err != nil {
		s.t.Fatal(err)
	}
	args := []string{"-O1", "-Wall", "-Wextra", "-Werror", "-I../include", "-o", filepath.Join(s.Home(), to), filepath.Join("testdata", name+".c")}
	args = append(options, args...)
	if family == "plain" {
		args = append([]string{"-DPLAIN"}, args...)
	}
	if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s %s.c: %v\n%s", compiler, name, err, out)
	}
	return to
}

// touch makes a file in the home directory, which every host sees.
func (s *site) touch(name string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.Home(), name), nil, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// remove takes files in the home directory away again.
func (s *site) remove(names ...string) {
	s.t.Helper()
	for _, n := range names {
		if err := os.RemoveAll(filepath.Join(s.Home(), n)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// reboot cuts hosts off, and they come back empty.
func (s *site) reboot(hosts ...int) {
	s.t.Helper()
	for _, h := range hosts {
		s.Kill(h)
		s.Start(h)
	}
}

// said waits until gompirun itself has said something, on its standard error.
func (r *run) said(pattern string) string {
	r.s.t.Helper()
	re := regexp.MustCompile(pattern)
	limit := time.After(patience)
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		if m := re.FindString(r.output()); m != "" {
			tick.Stop()
			return m
		}
		select {
		case <-tick.C:
		case <-limit:
			r.s.t.Fatalf("gompirun did not say %q within %v:\n%s", pattern, patience, r.output())
		}
	}
}

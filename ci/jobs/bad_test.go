package jobs

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gompirun/gompirun/ci/clustertest"
)

// refused runs gompirun on h1 and expects a status and words in what it says.
func (s *site) refused(t *testing.T, status int, words []string, args ...string) {
	t.Helper()
	s.refusedOn(t, 1, status, words, args...)
}

// refusedOn is refused on another host.
func (s *site) refusedOn(t *testing.T, host, status int, words []string, args ...string) {
	t.Helper()
	out, n := s.gompirun(host, args...)
	if n != status {
		t.Errorf("gompirun %s = %d, want %d", strings.Join(args, " "), n, status)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			t.Errorf("gompirun %s said nothing of %q:\n%s", strings.Join(args, " "), w, out)
		}
	}
}

// rewrite replaces a file in the home directory by what f makes of it, until the
// test ends.
func (s *site) rewrite(t *testing.T, name string, f func([]byte) []byte) {
	t.Helper()
	path := filepath.Join(s.Home(), name)
	old, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, f(bytes.Clone(old)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(path, old, 0o600); err != nil {
			t.Fatal(err)
		}
	})
}

// root runs a shell command on a host as root.
func (s *site) root(t *testing.T, host int, command string) {
	t.Helper()
	if out, err := s.RootCommand(host, "sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s on h%d: %v\n%s", command, host, err, out)
	}
}

// edit changes the lines of known_hosts that begin with a host.
func edit(host string, f func(line string) string) func([]byte) []byte {
	return func(b []byte) []byte {
		var out strings.Builder
		for line := range strings.Lines(string(b)) {
			if strings.HasPrefix(line, host) {
				line = f(line)
			}
			out.WriteString(line)
		}
		return []byte(out.String())
	}
}

func TestHostThatCannotBeUsedIsNamedWithARemedy(t *testing.T) {
	s := newSite(t, 3)
	run := []string{"-np", "2", "-host", "h1,h2", "openmpi/ep", "S"}
	t.Run("no such host", func(t *testing.T) {
		s.refused(t, 125, []string{"gompirun: nowhere: "}, "-np", "2", "-host", "h1,nowhere", "openmpi/ep", "S")
	})
	t.Run("unknown key", func(t *testing.T) {
		s.rewrite(t, ".ssh/known_hosts", edit("h2,", func(string) string { return "" }))
		s.refused(t, 125, []string{"h2: ", "host key SHA256:", "is in none of /home/mpi/.ssh/known_hosts", "ssh-keyscan"}, run...)
	})
	t.Run("changed key", func(t *testing.T) {
		b, err := os.ReadFile(filepath.Join(s.Home(), ".ssh/known_hosts"))
		if err != nil {
			t.Fatal(err)
		}
		_, h3, _ := strings.Cut(string(b), "h3,10.88.0.3 ")
		s.rewrite(t, ".ssh/known_hosts", edit("h2,", func(string) string { return "h2,10.88.0.2 " + h3 }))
		s.refused(t, 125, []string{"h2: ", "is not the one of /home/mpi/.ssh/known_hosts:2", "ssh-keygen -f /home/mpi/.ssh/known_hosts -R h2"}, run...)
	})
	t.Run("login refused", func(t *testing.T) {
		s.rewrite(t, ".ssh/authorized_keys", func([]byte) []byte { return nil })
		s.refused(t, 125, []string{"h2: login as mpi refused", "ssh-copy-id"}, run...)
	})
	// The twin: with everything put back it runs.
	if out, n := s.gompirun(1, run...); n != 0 {
		t.Errorf("afterwards the run ended with %d, want 0:\n%s", n, out)
	}
}

func TestProgramThatCannotRunIsNamedWithItsHost(t *testing.T) {
	s := newSite(t, 2)
	for _, family := range families {
		on := func(program string) []string {
			return []string{"-np", "2", "-host", "h1,h2", "--mpi", family, program, "S"}
		}
		t.Run(family, func(t *testing.T) {
			s.root(t, 1, "cp "+clustertest.HomeOnHosts+"/"+family+"/ep /tmp/"+family)
			s.refused(t, 127, []string{"h2: ", "program /tmp/" + family, "copy it there"}, on("/tmp/"+family)...)
			s.refused(t, 127, []string{"program " + family + "/nothing"}, on(family+"/nothing")...)
			b, err := os.ReadFile(filepath.Join(s.Home(), family, "ep"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(s.Home(), "unexecutable"), b, 0o644); err != nil {
				t.Fatal(err)
			}
			s.refused(t, 126, []string{"program ./unexecutable", "chmod +x"}, on("./unexecutable")...)
			b[18] = 183 // e_machine: EM_AARCH64
			if err := os.WriteFile(filepath.Join(s.Home(), "foreign"), b, 0o755); err != nil {
				t.Fatal(err)
			}
			s.refused(t, 126, []string{"program ./foreign", "EM_AARCH64"}, on("./foreign")...)
		})
	}
	s.refused(t, 2, []string{"--frobnicate", "unknown option"}, "--frobnicate", "openmpi/ep", "S")
	s.refused(t, 2, []string{"--frobnicate", "unknown option"}, "restart", "--frobnicate", "ck")
	s.refused(t, 2, nil, "checkpoint")
}

func TestCheckpointDirectoryThatCannotServeIsRefused(t *testing.T) {
	s := newSite(t, 2)
	with := func(dir string) []string {
		return []string{"-np", "2", "-host", "h1,h2", "--ckpt-dir", dir, "openmpi/ep", "S"}
	}
	s.refused(t, 125, []string{"/no/such does not exist", "mkdir -p", "--ckpt-dir"}, with("/no/such/ck")...)
	s.refused(t, 125, []string{"/etc/ck", "permission denied", "--ckpt-dir"}, with("/etc/ck")...)
	s.refused(t, 125, []string{"h2: the checkpoint directory /tmp/ck", "all hosts of the job share", "--ckpt-dir"}, with("/tmp/ck")...)
	s.root(t, 1, "test ! -e /tmp/ck")
	s.refused(t, 125, []string{"no running job uses the checkpoint directory"}, "checkpoint", "ck")
	s.refused(t, 76, []string{"holds no checkpoint store"}, "restart", "ck")
}

// A job in a small file system: what fails leaves the job running and the
// checkpoint before intact, and can be tried again.
func TestCheckpointThatFailsLeavesJobAndLastCheckpointAsTheyWere(t *testing.T) {
	s := newSite(t, 1)
	const small = "/mnt/small"
	s.root(t, 1, "mkdir -p "+small+" && mount -t tmpfs -o size=150m,mode=700,uid=2000 small "+small)
	r := s.start(1, []string{"NAS_REPEAT=10000"}, "-np", "2", "--ckpt-dir", small+"/ck", "--mpi", "openmpi", "openmpi/cg", "S")
	r.progress(2)
	s.checkpoint(1, small+"/ck")
	s.root(t, 1, "head -c 1G /dev/zero >"+small+"/filler 2>/dev/null; true")
	s.refused(t, 125, []string{small + "/ck/packs/", "no space left on device", "free some space", "the job goes on running, no checkpoint was made"}, "checkpoint", small+"/ck")
	s.refused(t, 125, []string{"no space left on device", "the job goes on running"}, "checkpoint", "--stop", small+"/ck")
	r.progress(2)
	s.refused(t, 0, []string{"checkpoint 1 is intact"}, "verify", small+"/ck")
	s.root(t, 1, "rm "+small+"/filler")

	// Two at a time: at least one is made, and one that is not says why.
	other := s.start(1, nil, "checkpoint", small+"/ck")
	out, n := s.gompirun(1, "checkpoint", small+"/ck")
	if m := other.status(); n != 0 && m != 0 {
		t.Errorf("of two checkpoints at a time none was made:\n%s%s", out, other.output())
	} else if both := out + other.output(); (n != 0 || m != 0) && !strings.Contains(both, "a checkpoint of this job is under way; ask again") {
		t.Errorf("two checkpoints at a time ended with %d and %d and said:\n%s", n, m, both)
	}
	s.checkpoint(1, small+"/ck", "--stop")
	if n := r.status(); n != 75 {
		t.Errorf("the run that was stopped ended with %d, want 75", n)
	}
	s.refused(t, 125, []string{"has ended", "gompirun restart " + small + "/ck"}, "checkpoint", small+"/ck")
	r = s.start(1, nil, "restart", small+"/ck")
	r.progress(2)
}

package jobs

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// agent is the agent's process on a host, 0 if there is none.
func (s *site) agent(host int) int {
	for _, pid := range s.Procs(host) {
		b, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "cmdline"))
		if err == nil && bytes.HasSuffix(b, []byte("gompirun\x00agent\x00")) {
			return pid
		}
	}
	return 0
}

// states are the letters of the states (proc_pid_stat(5)) of a program's
// processes on a host; t is a stop by a tracer.
func (s *site) states(host int, name string) string {
	var out strings.Builder
	for _, pid := range s.Procs(host) {
		b, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "stat"))
		if err != nil {
			continue // it has ended
		}
		at := bytes.LastIndexByte(b, ')')
		if bytes.HasSuffix(b[:at], []byte("("+name)) && at+2 < len(b) {
			out.WriteByte(b[at+2])
		}
	}
	return out.String()
}

// killAgentInPause asks for checkpoints until one is met while the processes of
// a host stand still, and kills their agent then.
func (s *site) killAgentInPause(ask, host int, name string) {
	s.t.Helper()
	agent := s.agent(host)
	if agent == 0 {
		s.t.Fatalf("h%d has no agent", host)
	}
	for limit := time.Now().Add(patience); time.Now().Before(limit); {
		c := s.start(ask, nil, "checkpoint", "ck")
		for {
			if strings.Contains(s.states(host, name), "t") {
				if err := syscall.Kill(agent, syscall.SIGKILL); err != nil {
					s.t.Fatalf("kill the agent of h%d: %v", host, err)
				}
				if n := c.status(); n == 0 || !strings.Contains(c.output(), "gompirun: ") {
					s.t.Errorf("the checkpoint whose agent was killed ended with %d and said %q, want a sentence and a status that is not 0", n, c.output())
				}
				return
			}
			select {
			case <-c.done:
			default:
				continue
			}
			break
		}
	}
	s.t.Fatalf("no checkpoint was met in its pause within %v", patience)
}

func TestProcessesOfAKilledAgentAreNotLeftStopped(t *testing.T) {
	s := newSite(t, 1)
	// No launcher that notices, and no output that could fail: what is seen is the
	// death of the agent alone.
	r := s.start(1, nil, "--ckpt-dir", "ck", "--mpi", "none", "/bin/sleep", "1000")
	for limit := time.Now().Add(patience); s.ranks(1, "sleep") == 0; {
		if time.Now().After(limit) {
			t.Fatalf("no sleep within %v:\n%s", patience, r.output())
		}
	}
	s.checkpoint(1, "ck")
	s.killAgentInPause(1, 1, "sleep")
	if n := r.status(); n != 125 || !strings.Contains(r.output(), "is lost") {
		t.Errorf("the run whose agent was killed ended with %d, want 125, and said:\n%s", n, r.output())
	}
	// It may have gone with the session of the run that has ended.
	if got := s.states(1, "sleep"); strings.ContainsAny(got, "tT") {
		t.Errorf("the agent was killed and its process is in states %q, want it asleep (S) or gone", got)
	}
}

func TestLostAgentEndsTheJobWithASentenceAndALastCheckpoint(t *testing.T) {
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			s := newSite(t, 3)
			r := s.start(1, []string{"NAS_REPEAT=10000"}, "-np", "2", "-host", "h1:1,h2:1", "--ckpt-dir", "ck", "--mpi", family, family+"/cg", "S")
			r.progress(2)
			s.checkpoint(1, "ck")
			s.killAgentInPause(1, 2, "cg")
			if n := r.status(); n != 125 {
				t.Errorf("the run whose agent was killed ended with %d, want 125", n)
			}
			if out := r.output(); !strings.Contains(out, "the agent on h2 is lost") || !strings.Contains(out, "gompirun restart") {
				t.Errorf("the run whose agent was killed said nothing of it:\n%s", out)
			}
			for h := 1; h <= 2; h++ {
				s.empty(h, "cg", "gompirun-pod", "orted", "hydra_pmi_proxy")
				if left := s.traces(h); left != "" {
					t.Errorf("h%d has left:\n%s", h, left)
				}
			}
			r = s.start(3, nil, "restart", "-host", "h3,h2", "ck")
			r.progress(2)
		})
	}
}

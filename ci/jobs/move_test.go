package jobs

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

var families = []string{"openmpi", "mpich"}

// expectRanks waits until a program's ranks are where they are expected.
func (s *site) expectRanks(name string, want map[int]int) {
	s.t.Helper()
	for host, n := range want {
		if got := s.ranks(host, name); got != n {
			s.t.Errorf("h%d runs %d processes of %s, want %d", host, got, name, n)
		}
	}
}

// finish waits for the verification and the end. MPICH as Debian ships it may
// hang in MPI_Finalize over several hosts, with no checkpoint involved. That is
// told apart from a hang of ours by where the ranks are, and reported, not hidden.
func (s *site) finish(r *run, family string) {
	s.t.Helper()
	if l := r.wait(`^ Verification\s*=`); !strings.HasSuffix(l, "   SUCCESSFUL") {
		s.t.Fatalf("the job said %q", l)
	}
	go func() {
		for range r.lines { // the rest is in output
		}
	}()
	for looks, hangs := 1, 0; hangs < 2; looks++ {
		select {
		case <-r.done:
			if r.err != nil {
				s.t.Errorf("after the verification the run ended with %v, want status 0:\n%s", r.err, r.output())
			}
			return
		case <-time.After(4 * time.Second):
		}
		upstream, where := false, ""
		if family == "mpich" {
			upstream, where = s.mpichHangs()
		}
		switch {
		case upstream:
			hangs++
		case looks >= 5:
			s.t.Fatalf("the job was verified and does not end, and not because MPICH hangs as it does without gompirun:\n%s\n%s", where, r.output())
		}
	}
	s.t.Log("MPICH hangs in its MPI_Finalize, as it does without gompirun; the job was verified before")
}

func TestJobMovesFromHostToHostAndEndsRight(t *testing.T) {
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			s := newSite(t, 4)
			r := s.start(1, []string{"NAS_REPEAT=6", "NAS_PACE=50"}, "-np", "4", "-host", "h1:2,h2:2", "--ckpt-dir", "ck", "--mpi", family, family+"/cg", "S")
			r.progress(5)
			s.expectRanks("cg", map[int]int{1: 2, 2: 2, 3: 0, 4: 0})
			for _, step := range []struct {
				from  int // where the run was started
				kill  []int
				to    int
				hosts string
				want  map[int]int
			}{
				{1, []int{1, 2}, 3, "h3,h4", map[int]int{3: 2, 4: 2}},
				{3, []int{3, 4}, 1, "h1", map[int]int{1: 4}},
				{1, []int{1}, 2, "h2,h4", map[int]int{2: 2, 4: 2}},
			} {
				s.checkpoint(step.from, "ck")
				r.progress(2)
				for _, h := range step.kill {
					s.Kill(h)
					if p := s.Procs(h); len(p) != 0 {
						t.Fatalf("h%d is dead and runs %v", h, p)
					}
				}
				// Hosts come back empty, as new ones.
				for h := 1; h <= 4; h++ {
					if len(s.Procs(h)) == 0 && strings.Contains(step.hosts, "h"+itoa(h)) {
						s.Start(h)
					}
				}
				r = s.start(step.to, nil, "restart", "-host", step.hosts, "ck")
				r.progress(3)
				s.expectRanks("cg", step.want)
			}
			s.finish(r, family)
			for h := 1; h <= 4; h++ {
				if len(s.Procs(h)) == 0 {
					continue
				}
				out, err := s.RootCommand(h, "sh", "-c", "ls -A /tmp /dev/shm | grep -v -e : -e '^$'; true").Output()
				if err != nil || len(out) != 0 {
					t.Errorf("h%d has %q left in /tmp or /dev/shm (%v)", h, out, err)
				}
			}
			if list := s.ls(2, "ck"); len(list) != 3 || !list[2].Complete || list[2].Ranks != 4 || list[2].Pods != 2 {
				t.Errorf("ls --json = %+v, want three complete generations of 4 ranks in 2 pods", list)
			}
		})
	}
}

func TestKilledJobThatIsNotRestartedDoesNotEnd(t *testing.T) {
	s := newSite(t, 2)
	r := s.start(1, []string{"NAS_REPEAT=20", "NAS_PACE=50"}, "-np", "2", "-host", "h1:1,h2:1", "--ckpt-dir", "ck", "--mpi", "openmpi", "openmpi/cg", "S")
	r.progress(5)
	s.checkpoint(1, "ck")
	s.Kill(1)
	s.Kill(2)
	if n := r.status(); n == 0 || strings.Contains(r.output(), "Verification") {
		t.Errorf("the killed run ended with %d and said:\n%s", n, r.output())
	}
}

func TestIntegerSortGoesOnWithTheRightAnswer(t *testing.T) {
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			s := newSite(t, 4)
			r := s.start(1, []string{"NAS_REPEAT=4", "NAS_PACE=50"}, "-np", "2", "-host", "h1:1,h2:1", "--ckpt-dir", "ck", "--mpi", family, family+"/is", "W")
			r.progress(5)
			s.checkpoint(1, "ck")
			s.Kill(1)
			s.Kill(2)
			r = s.start(3, nil, "restart", "-host", "h3,h4", "ck")
			s.finish(r, family)
		})
	}
}

func TestTwentyCheckpointsInFourSecondsAreAllRestorable(t *testing.T) {
	s := newSite(t, 1)
	r := s.start(1, []string{"NAS_REPEAT=2000"}, "-np", "2", "--ckpt-dir", "ck", "--ckpt-interval", "0.2s", "--mpi", "openmpi", "openmpi/cg", "S")
	r.progress(5)
	deadline := time.Now().Add(patience)
	for len(s.ls(1, "ck")) < 20 {
		if time.Now().After(deadline) {
			t.Fatalf("no 20 checkpoints within %v:\n%s", patience, r.output())
		}
		r.progress(3)
	}
	s.Kill(1)
	s.Start(1)
	for _, g := range s.ls(1, "ck")[:20] {
		if out, n := s.gompirun(1, "verify", "ck@"+itoa(g.Generation)); n != 0 {
			t.Errorf("generation %d: verify = %d:\n%s", g.Generation, n, out)
		}
		r := s.start(1, nil, "restart", "ck@"+itoa(g.Generation))
		r.progress(2)
		_ = r.cmd.Process.Kill()
		<-r.done
	}
}

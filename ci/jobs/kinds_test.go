package jobs

import (
	"strings"
	"testing"
)

// moved is a job on h1 and h2 that has gone on, after they died, on h3 and h4: from
// a checkpoint made when it had said half, and at a time when it had said more.
func (s *site) moved(family, half, more string, job ...string) *run {
	s.t.Helper()
	// All hosts share a few processors: ranks that wait give theirs to others.
	r := s.start(1, []string{"OMPI_MCA_mpi_yield_when_idle=1"}, append([]string{"--ckpt-dir", "ck", "--mpi", family, "-host", "h1:2,h2:2"}, job...)...)
	r.wait("^" + half + "$")
	s.checkpoint(1, "ck")
	r.wait("^" + more + "$")
	s.Kill(1)
	s.Kill(2)
	r = s.start(3, nil, "restart", "-host", "h3:2,h4:2", "ck")
	r.said(`(?m)^gompirun: checkpoint 1 restarted: 4 ranks on 2 hosts`)
	s.t.Cleanup(func() {
		if strings.Contains(r.output(), half+"\n") {
			s.t.Errorf("the restarted job said %q again:\n%s", half, r.output())
		}
	})
	return r
}

func TestThreadsThatAllSendAndReceiveLoseAndDoubleNothing(t *testing.T) {
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			s := newSite(t, 4)
			threads := s.compile(family, "threads", "-fopenmp")
			r := s.moved(family, "round 40", "round 80", "-np", "4", threads, "3", "100", "go")
			s.expectRanks("threads", map[int]int{3: 2, 4: 2})
			s.touch("go")
			r.wait(`^3 threads of 4 ranks sent 1200 messages`)
			s.finish(r, family)
		})
	}
}

func TestTwoProgramsOfOneJobGoOnTogether(t *testing.T) {
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			s := newSite(t, 4)
			ask, answer := s.compile(family, "ask"), s.compile(family, "answer")
			r := s.moved(family, "asked 40", "asked 80", "-np", "2", "-x", "PART=ask", ask, "100", "go", ":", "-np", "2", "-x", "PART=answer", answer)
			for host, program := range map[int]string{3: "ask", 4: "answer"} {
				s.expectRanks(program, map[int]int{host: 2, 7 - host: 0})
			}
			s.touch("go")
			s.finish(r, family)
			for _, line := range []string{"ask, program 0, 2 ranks: 200 right squares\n", "answer, program 1, 2 ranks: 200 numbers, of sum 20300\n"} {
				if !strings.Contains(r.output(), line) {
					t.Errorf("the restarted job did not say %q:\n%s", line, r.output())
				}
			}
		})
	}
}

// A program without MPI is started on several hosts by the launcher of one: who
// it is tells the environment, and all else are its own sockets.
func TestProcessesWithoutMPIOnSeveralHostsKeepTheirConnectionsAndMakeNewOnes(t *testing.T) {
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			s := newSite(t, 4)
			r := s.moved(family, "round 40", "round 80", "-np", "4", s.compile("plain", "ring"), "100", "go")
			s.expectRanks("ring", map[int]int{3: 2, 4: 2})
			s.onlyBetween(3, 4)
			s.touch("go")
			if n := r.status(); n != 0 {
				t.Errorf("the restarted job ended with %d, want 0", n)
			}
			for rank, sum := range []int{1000, 993, 996, 1000} {
				line := "process " + itoa(rank) + " of 4 was in 100 rounds, the sum was " + itoa(sum) + "\n"
				if !strings.Contains(r.output(), line) {
					t.Errorf("the restarted job did not say %q:\n%s", line, r.output())
				}
			}
		})
	}
}

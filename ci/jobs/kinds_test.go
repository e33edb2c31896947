package jobs

import (
	"strings"
	"testing"
)

// moved is a job on h1 and h2 that has gone on, after they died, on h3 and h4: from
// a checkpoint made when it had said half, and at a time when it was already
// further.
func (s *site) moved(family, half, further string, job ...string) *run {
	s.t.Helper()
	// All hosts share a few processors: ranks that wait give theirs to others.
	r := s.start(1, []string{"OMPI_MCA_mpi_yield_when_idle=1"}, append([]string{"--ckpt-dir", "ck", "--mpi", family, "-host", "h1:2,h2:2"}, job...)...)
	r.wait(half)
	s.checkpoint(1, "ck")
	r.wait(further)
	s.Kill(1)
	s.Kill(2)
	return s.start(3, nil, "restart", "-host", "h3:2,h4:2", "ck")
}

// goesOn waits until a restarted job is as far as the killed one was, and checks
// that it did not begin anew.
func (s *site) goesOn(r *run, further, before string) {
	s.t.Helper()
	r.wait(further)
	if strings.Contains(r.output(), before) {
		s.t.Errorf("after the restart the job said %q again:\n%s", before, r.output())
	}
}

func TestThreadsThatAllSendAndReceiveLoseAndDoubleNothing(t *testing.T) {
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			s := newSite(t, 4)
			threads := s.compile(family, "threads", "-fopenmp")
			r := s.moved(family, `^round 40$`, `^round 80$`, "-np", "4", threads, "3", "200")
			s.goesOn(r, `^round 80$`, "round 40\n")
			s.expectRanks("threads", map[int]int{3: 2, 4: 2})
			r.wait(`^3 threads of 4 ranks sent 2400 messages`)
			s.finish(r, family)
		})
	}
}

func TestTwoProgramsOfOneJobGoOnTogether(t *testing.T) {
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			s := newSite(t, 4)
			ask, answer := s.compile(family, "ask"), s.compile(family, "answer")
			r := s.moved(family, `^asked 40$`, `^asked 80$`, "-np", "2", "-x", "PART=ask", ask, "200", ":", "-np", "2", "-x", "PART=answer", answer)
			s.goesOn(r, `^asked 80$`, "asked 40\n")
			for host, program := range map[int]string{3: "ask", 4: "answer"} {
				s.expectRanks(program, map[int]int{host: 2, 7 - host: 0})
			}
			s.finish(r, family)
			for _, line := range []string{"ask, program 0, 2 ranks: 400 right squares\n", "answer, program 1, 2 ranks: 400 numbers, of sum 80600\n"} {
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
			r := s.moved(family, `^round 40$`, `^round 80$`, "-np", "4", s.compile("plain", "ring"), "200")
			s.goesOn(r, `^round 80$`, "round 40\n")
			s.expectRanks("ring", map[int]int{3: 2, 4: 2})
			s.onlyBetween(3, 4)
			if n := r.status(); n != 0 {
				t.Errorf("the restarted job ended with %d, want 0", n)
			}
			for rank, sum := range []int{2000, 1993, 1996, 2000} {
				line := "process " + itoa(rank) + " of 4 was in 200 rounds, the sum was " + itoa(sum) + "\n"
				if !strings.Contains(r.output(), line) {
					t.Errorf("the restarted job did not say %q:\n%s", line, r.output())
				}
			}
		})
	}
}

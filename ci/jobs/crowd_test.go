package jobs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// slack is how late the timers of a program's processes on a host may be, in
// nanoseconds, each value once.
func (s *site) slack(host int, name string) []string {
	var out []string
	for _, pid := range s.processes(host, name) {
		if b, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "timerslack_ns")); err == nil {
			out = append(out, strings.TrimSpace(string(b)))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestRanksThatOutnumberProcessorsAreRelievedAndTheUserIsTold(t *testing.T) {
	says := map[string]string{"mpich": "the kernel is made to switch between them more often", "openmpi": "ranks that wait yield (mpi_yield_when_idle)"}
	one := []string{"taskset", "-c", "0"} // gompirun has one processor
	const usual, late = "50000", "1000000"
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			s := newSite(t, 1)
			line := "gompirun: localhost has 2 ranks on 1 processor; " + says[family] + ", and timers may be a millisecond late"
			expect := func(want string) {
				t.Helper()
				if got := s.slack(1, "cg"); !slices.Equal(got, []string{want}) {
					t.Errorf("the ranks' timers may be %v nanoseconds late, want %s", got, want)
				}
			}
			job := []string{"-np", "2", "--ckpt-dir", "ck", "--mpi", family, family + "/cg", "S"}
			r := s.start(1, append([]string{"NAS_REPEAT=20", "NAS_PACE=20"}, one...), job...)
			r.said(regexp.QuoteMeta(line))
			r.progress(2)
			expect(late)
			s.checkpoint(1, "ck", "--stop")
			if n := r.status(); n != 75 {
				t.Fatalf("the run that was stopped ended with %d, want 75", n)
			}
			r = s.start(1, one, "restart", "ck")
			r.said(regexp.QuoteMeta(line))
			r.progress(2)
			expect(late)
			_ = r.cmd.Process.Kill()
			<-r.done
			r = s.start(1, nil, "restart", "ck") // with a processor for each rank
			r.progress(2)
			expect(usual)
			_ = r.cmd.Process.Kill()
			<-r.done
			s.remove("ck")
			quiet := [][]string{append([]string{"--yield", "no"}, job...)}
			if family == "openmpi" {
				quiet = append(quiet, append([]string{"--mca", "mpi_yield_when_idle", "0"}, job...))
			}
			for _, args := range quiet {
				r := s.start(1, one, args...)
				if n := r.status(); n != 0 || strings.Contains(r.output(), "processor") {
					t.Errorf("gompirun %s ended with %d, want 0 and not a word of processors:\n%s", strings.Join(args, " "), n, r.output())
				}
			}
		})
	}
}

package jobs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// written counts how often each line of the program write is in a text. What is
// none of its lines is an error.
func written(t *testing.T, what, text string) map[string]int {
	t.Helper()
	line := regexp.MustCompile(`^step {1,5}\d+ {1,4}\d+$`)
	count := map[string]int{}
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, "\r\n")
		if !line.MatchString(l) {
			t.Errorf("%s: %q is no line of the program's", what, l)
			return count
		}
		count[l]++
	}
	return count
}

// lines are those that n ranks write in some steps.
func lines(steps, ranks int) []string {
	var out []string
	for s := range steps {
		for r := range ranks {
			out = append(out, fmt.Sprintf("step %5d %4d", s, r))
		}
	}
	return out
}

// printed is the part of what a run said that the program printed.
func printed(r *run) string {
	var b strings.Builder
	for l := range strings.Lines(r.output()) {
		if strings.HasPrefix(l, "step ") {
			b.WriteString(l)
		}
	}
	return b.String()
}

func TestFilesAndOutputHaveEveryLineOnceAfterAKillAndAStop(t *testing.T) {
	const steps, ranks = 160, 4
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			s := newSite(t, 4)
			first := s.start(1, nil, "-np", itoa(ranks), "-host", "h1:2,h2:2", "--ckpt-dir", "ck", "--mpi", family, s.compile(family, "write"), itoa(steps))
			first.wait(`step +20 `)
			s.checkpoint(1, "ck")
			first.wait(`step +60 `) // what is written now is to be forgotten, and written again
			s.reboot(1, 2)
			<-first.done
			second := s.start(3, nil, "restart", "-host", "h3,h4", "ck")
			second.wait(`step +120 `)
			s.checkpoint(3, "ck", "--stop")
			if n := second.status(); n != 75 {
				t.Fatalf("the run that was stopped ended with %d, want 75", n)
			}
			third := s.start(1, nil, "restart", "-host", "h1,h2", "ck")
			if n := third.status(); n != 0 {
				t.Fatalf("the last run ended with %d, want 0", n)
			}

			want := lines(steps, ranks)
			for _, name := range []string{"ordered", "placed"} {
				b, err := os.ReadFile(filepath.Join(s.Home(), name))
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n"); !slices.Equal(got, want) {
					n := written(t, name, string(b))
					t.Errorf("the file %s has %d lines, %d different ones; want %d, in order", name, len(got), len(n), len(want))
				}
			}
			// A stop loses and doubles nothing. After a kill what was printed since
			// the checkpoint is printed again, and no more.
			seen := [3]map[string]int{}
			for i, r := range []*run{first, second, third} {
				seen[i] = written(t, "standard output", printed(r))
			}
			for _, l := range want {
				if n := seen[1][l] + seen[2][l]; n > 1 || seen[0][l] > 1 || n+seen[0][l] == 0 {
					t.Errorf("%q was printed %d, %d, %d times by the three runs", l, seen[0][l], seen[1][l], seen[2][l])
				}
				if strings.HasPrefix(l, "step    60") && seen[1][l] != 1 {
					t.Errorf("%q came after the checkpoint and was not printed again", l)
				}
				if strings.HasPrefix(l, "step    10") && seen[1][l] != 0 {
					t.Errorf("%q came before the checkpoint and was printed again", l)
				}
			}
		})
	}
}

package jobs

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// numbers are lines of some bytes with the numbers from one to another.
func numbers(from, to, width int) string {
	var b strings.Builder
	for n := from; n <= to; n++ {
		fmt.Fprintf(&b, "%-*d\n", width-1, n)
	}
	return b.String()
}

// pipe is a standard input, and what is written to it.
func (s *site) pipe() (*os.File, *os.File) {
	s.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// width is the length of a line of which 200 are more than gompirun reads ahead, or
// with MPICH fit into a pipe: its launcher ends a job that reads slower than input
// comes ("can't keep up").
var width = map[string]int{"openmpi": 8192, "mpich": 100}

// whole is what the program lines says of the numbers from 1 to 200.
const whole = `^200 lines, of sum 20100$`

func TestInputFromAFileGoesOnWhereTheCheckpointWas(t *testing.T) {
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			s := newSite(t, 4)
			path := filepath.Join(s.Home(), "input")
			if err := os.WriteFile(path, []byte(numbers(1, 200, width[family])), 0o644); err != nil {
				t.Fatal(err)
			}
			input := func() io.Reader {
				f, err := os.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { f.Close() })
				return f
			}
			r := s.startWith(input(), 1, nil, "-np", "2", "-host", "h1:1,h2:1", "--ckpt-dir", "ck", "--mpi", family, s.compile(family, "lines"), "go")
			r.wait(`^line 40$`)
			s.checkpoint(1, "ck")
			r.wait(`^line 60$`)
			s.Kill(1)
			s.Kill(2)
			r = s.startWith(input(), 3, nil, "restart", "-host", "h3:1,h4:1", "ck")
			s.touch("go")
			r.wait(whole)
			s.finish(r, family)
		})
	}
}

func say(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

func TestInputFromAPipeIsTheRest(t *testing.T) {
	s := newSite(t, 2)
	in, w := s.pipe()
	r := s.startWith(in, 1, nil, "--mpi", "none", "--ckpt-dir", "ck", s.compile("plain", "lines"), "go")
	say(t, w, numbers(1, 40, 100))
	r.wait(`^line 40$`)
	s.checkpoint(1, "ck")
	say(t, w, numbers(41, 60, 100)) // to be forgotten, and said again
	r.wait(`^line 60$`)
	s.Kill(1)
	in, w = s.pipe()
	r = s.startWith(in, 2, nil, "restart", "-host", "h2", "ck")
	r.said(`checkpoint 1 has 4000 bytes of standard input`)
	say(t, w, numbers(41, 200, 100))
	w.Close()
	s.touch("go")
	r.wait(whole)
	if n := r.status(); n != 0 {
		t.Errorf("the restarted job ended with %d, want 0", n)
	}
}

// What is left of it is in the program's pipe; nothing else comes after that.
func TestInputThatHasEndedHasEndedAlsoAfterARestart(t *testing.T) {
	s := newSite(t, 1)
	in, w := s.pipe()
	r := s.startWith(in, 1, nil, "--mpi", "none", "--ckpt-dir", "ck", s.compile("plain", "lines"), "go")
	say(t, w, numbers(1, 200, 10))
	w.Close()
	r.wait(`^closed$`)
	s.checkpoint(1, "ck", "--stop")
	if n := r.status(); n != 75 {
		t.Fatalf("the run that was stopped ended with %d, want 75", n)
	}
	in, w = s.pipe()
	say(t, w, numbers(1000, 1000, 10))
	r = s.startWith(in, 1, nil, "restart", "ck")
	s.touch("go")
	r.wait(whole)
	if n := r.status(); n != 0 {
		t.Errorf("the restarted job ended with %d, want 0", n)
	}
}

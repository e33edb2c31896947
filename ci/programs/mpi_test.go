package programs

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// An mpiProgram is one that runs by itself; what it prints tells whether all is
// well.
type mpiProgram struct {
	name  string
	argv  []string // of gompirun
	files []string // of testdata
	// before and after are shell commands: what it needs, and what shows that its
	// result is right.
	before, after string
	half          string // it is checkpointed and killed when it has printed this
	end           string // the restarted one prints this
}

// gromacs simulates on two ranks, always in the same order of operations.
const gromacs = "gmx_mpi -quiet mdrun -s water.tpr -reprod -dlb no -notunepme -ntomp 1 -pin off -v -stepout 50 "

// NetPIPE's option -i compares every byte that arrives with what was sent.
var mpiPrograms = []mpiProgram{
	{
		name: "mpi4py with collectives, a window and spawned children", files: []string{"collect.py"},
		argv: []string{"-np", "2", "-host", "localhost:4", "/usr/bin/python3", "collect.py", "100"},
		half: `(?m)^step 9 495$`, end: `(?m)^step 99 45450\nthe end 45450$`,
	},
	{
		name: "GROMACS with the same trajectory as an undisturbed run", files: []string{"water.mdp", "water.top"},
		before: `cp /usr/share/gromacs/top/spc216.gro . && gmx -quiet grompp -f water.mdp -c spc216.gro -p water.top -o water.tpr &&
			mpirun.openmpi --oversubscribe -np 2 ` + gromacs + `-deffnm want`,
		argv: append([]string{"-np", "2"}, strings.Fields(gromacs+"-deffnm got")...),
		half: `step 300[, ]`, end: `Writing final coordinates`, after: "cmp want.trr got.trr && cmp want.gro got.gro",
	},
	{
		name: "NetPIPE over Open MPI", argv: []string{"-np", "2", "/usr/bin/NPopenmpi", "-i", "-n", "3000", "-u", "300000"},
		half: `(?m)^ *15: `, end: `(?m)^ *32: .*Integrity check passed`,
	},
	{
		name: "NetPIPE over MPICH", argv: []string{"-np", "2", "/usr/bin/NPmpich2", "-i", "-n", "3000", "-u", "300000"},
		half: `(?m)^ *15: `, end: `(?m)^ *32: .*Integrity check passed`,
	},
	{
		name: "NetPIPE over sockets, without MPI",
		argv: []string{"/bin/sh", "-c", "o=\"-i -n 3000 -u 300000\"; NPtcp $o >receiver 2>&1 & sleep 1; NPtcp -h 127.0.0.1 $o; wait"},
		half: `(?m)^ *15: `, end: `(?m)^ *32: .*Integrity check passed`,
	},
}

// said is what a program has printed so far.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) { s.mu.Lock(); defer s.mu.Unlock(); return s.b.Write(b) }

func (s *said) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

// await waits until there is a match, or the program has ended.
func (s *said) await(t *testing.T, pattern string, ended chan error) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for limit := time.After(15 * time.Minute); !re.MatchString(s.String()); {
		select {
		case err := <-ended:
			ended <- err // others ask too
			if !re.MatchString(s.String()) {
				t.Fatalf("the job ended (%v) and did not print %q:\n%s", err, pattern, s)
			}
			return
		case <-limit:
			t.Fatalf("the job did not print %q:\n%s", pattern, s)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *mpiProgram) test(t *testing.T) {
	d := newDesk(t)
	for _, name := range p.files {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		d.write(name, string(b), 0o644)
	}
	d.shell(p.before)
	run := func(args ...string) (*said, func(), chan error) {
		out := &said{}
		cmd := d.command(args...)
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		kill := func() { _ = cmd.Process.Kill() } // it may have ended
		t.Cleanup(kill)
		return out, kill, ended
	}
	out, kill, ended := run(append([]string{"--ckpt-dir", "ckpt"}, p.argv...)...)
	out.await(t, p.half, ended)
	if b, err := d.command("checkpoint", "ckpt").CombinedOutput(); err != nil {
		t.Fatalf("checkpoint: %v\n%s", err, b)
	}
	kill()
	<-ended
	out, _, ended = run("restart", "ckpt")
	out.await(t, p.end, ended)
	if err := <-ended; err != nil {
		t.Errorf("the restarted job ended with %v, want status 0:\n%s", err, out)
	}
	if regexp.MustCompile(p.half).MatchString(out.String()) {
		t.Errorf("what was printed before the checkpoint came again:\n%s", out)
	}
	d.shell(p.after)
	t.Logf("%s", out)
}

func TestMPIPrograms(t *testing.T) {
	if !all() {
		t.Skip("mpi4py and NetPIPE are run by make test-programs, which installs them")
	}
	for i := range mpiPrograms {
		t.Run(mpiPrograms[i].name, mpiPrograms[i].test)
	}
}

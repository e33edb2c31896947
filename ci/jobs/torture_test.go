package jobs

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gompirun/gompirun/ci/clustertest"
	"github.com/gompirun/gompirun/ci/torture"
)

// Checkpoints at any moment, each with an end of the job and a restart after it, of
// a program that does everything at once. README.md says how to replay a failure.
func TestNothingIsLostOrDoubledByCheckpointsAtAnyMoment(t *testing.T) {
	seed, cycles := fromEnv(t, "GOMPIRUN_TORTURE_SEED", rand.Uint64N(1000000)), fromEnv(t, "GOMPIRUN_TORTURE", 20)
	for _, tt := range []struct {
		name string
		args []string
		on   []string // hosts of each restart in turn
		end  int      // lines "end"
	}{
		{"one pod", []string{"--mpi", "none"}, []string{"h2", "h1"}, 1},
		{"two hosts", []string{"-np", "2", "-host", "h1:1,h2:1", "--mpi", "mpich"}, []string{"h3:1,h4:1", "h2:2", "h1:1,h3:1"}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Logf("replay with GOMPIRUN_TORTURE_SEED=%d GOMPIRUN_TORTURE=%d", seed, cycles)
			s := newSite(t, 4)
			torture.Compile(t, filepath.Join(s.Home(), "torture"))
			m := &torment{site: s, dice: rand.New(rand.NewPCG(seed, 0))}
			args := append([]string{"--ckpt-dir", "ck", "--ckpt-keep", "3"}, tt.args...)
			began := time.Now()
			m.begin(1, []string{"TORTURE_ADDRESS=" + s.Addr(1)}, append(args, "./torture", strconv.FormatUint(seed, 10))...)
			first := torture.Parse(t, m.run.wait(`^ready `))
			for n := range cycles / 2 {
				m.cycle(tt.on[n%uint64(len(tt.on))])
			}
			m.lives()
			last := m.check()
			if ran, most := time.Duration(last["mono"]-first["mono"]), time.Since(began); ran > most {
				t.Errorf("the job's clock went on by %v in %v", ran, most)
			}
			m.ask("stop")
			for range tt.end {
				m.run.wait(`^end `)
			}
			if got := m.run.status(); got != 0 {
				t.Errorf("the program ended with %d, want 0:\n%s", got, m.run.output())
			}
			for rank := range tt.end {
				if err := torture.CheckLog(filepath.Join(s.Home(), "torture-"+itoa(rank)+"-log")); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// fromEnv is a number that the environment may give.
func fromEnv(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// torment is a torture program under gompirun.
type torment struct {
	*site
	dice  *rand.Rand
	head  int // the host where gompirun runs
	run   *run
	in    *os.File
	least torture.Counts // what the last checkpoint has, at least
}

// begin runs gompirun with an input.
func (m *torment) begin(head int, env []string, args ...string) {
	m.t.Helper()
	r, w := m.pipe()
	m.head, m.in = head, w
	m.run = m.startWith(r, head, env, args...)
	r.Close()
}

func (m *torment) ask(question string) {
	m.t.Helper()
	if _, err := m.in.WriteString(question + "\n"); err != nil {
		m.t.Fatalf("%v; the job said:\n%s", err, m.run.output())
	}
}

// check asks for the counts.
func (m *torment) check() torture.Counts {
	m.t.Helper()
	m.ask("check")
	return torture.Parse(m.t, m.run.wait(`^check `))
}

// lives waits until everything has gone on, and says how far it is then.
func (m *torment) lives() torture.Counts {
	m.t.Helper()
	first := m.check()
	for key, n := range m.least {
		if first[key] < n {
			m.t.Fatalf("after the restart %s is %d, and was %d before the checkpoint", key, first[key], n)
		}
	}
	for limit := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		now := m.check()
		behind := now.Behind(first)
		if len(behind) == 0 {
			return now
		}
		if time.Now().After(limit) {
			m.t.Fatalf("nothing more of %v in %v:\n%s", behind, patience, m.run.output())
		}
	}
}

// cycle makes a checkpoint at some moment, ends the job in order or by a crash,
// and restarts it.
func (m *torment) cycle(on string) {
	m.t.Helper()
	m.least = m.lives()
	time.Sleep(m.moment())
	if m.dice.IntN(2) == 0 {
		m.checkpoint(m.head, "ck", "--stop")
		if got := m.run.status(); got != 75 {
			m.t.Fatalf("the run that was stopped ended with %d, want 75:\n%s", got, m.run.output())
		}
	} else {
		m.checkpoint(m.head, "ck")
		time.Sleep(m.moment()) // what is done now will be done again
		m.crash()
	}
	for h := 1; h <= m.hosts; h++ {
		m.empty(h, "torture", "gompirun")
	}
	head, err := strconv.Atoi(on[1:2])
	if err != nil {
		m.t.Fatal(err)
	}
	m.begin(head, nil, "restart", "-host", on, "ck")
}

// moment is some time in which much happens.
func (m *torment) moment() time.Duration {
	return time.Duration(m.dice.Int64N(int64(200 * time.Millisecond)))
}

// crash ends the coordinator. Its agents end the pods then.
func (m *torment) crash() {
	m.t.Helper()
	for _, pid := range m.Procs(m.head) {
		b, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "cmdline"))
		if err != nil {
			continue // it has ended
		}
		word := strings.Split(string(b), "\x00")
		if word[0] == clustertest.HomeOnHosts+"/gompirun" && word[1] != "agent" {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				m.t.Fatal(err)
			}
		}
	}
	m.run.status()
}

package jobs

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	scaleRanks = flag.Int("scale.ranks", 128, "`ranks` of jobs over 32 hosts")
	scaleNAS   = flag.Bool("scale.nas", false, "run NAS programs of that many ranks as well")
)

// tree is a job over many hosts that is killed and goes on, two pods on each, on
// half as many others.
type tree struct {
	*site
	family       string
	ranks, hosts int
}

func newTree(t *testing.T, family string, ranks, hosts int) *tree {
	before := patience
	patience = 10 * time.Minute
	t.Cleanup(func() { patience = before })
	return &tree{newSite(t, hosts+(hosts+1)/2), family, ranks, hosts}
}

// slots are hosts as an option has them.
func slots(first, n, each int) string {
	var list []string
	for h := first; h < first+n; h++ {
		list = append(list, fmt.Sprintf("h%d:%d", h, each))
	}
	return strings.Join(list, ",")
}

func (j *tree) begin(env []string, program ...string) *run {
	args := []string{"-v", "-np", itoa(j.ranks), "-host", slots(1, j.hosts, j.ranks/j.hosts), "--ckpt-dir", "ck", "--mpi", j.family}
	if j.family == "mpich" {
		// All hosts share a few processors: agents of 32 hosts that each make the kernel
		// switch more often would take all of them.
		args = append(args, "--yield", "no")
	}
	return j.start(1, env, append(args, program...)...)
}

// moves kills all hosts of the job and restarts it.
func (j *tree) moves() *run {
	var wg sync.WaitGroup
	for h := 1; h <= j.hosts; h++ {
		wg.Go(func() { j.Kill(h) })
	}
	wg.Wait()
	n := (j.hosts + 1) / 2
	r := j.start(j.hosts+1, nil, "restart", "-v", "-host", slots(j.hosts+1, n, j.ranks/n), "ck")
	r.said(fmt.Sprintf(`(?m)^gompirun: checkpoint \d+ restarted: %d ranks on %d host`, j.ranks, n))
	return r
}

// connected starts a job whose ranks are all connected with each other and sleep
// until goOn.
func (j *tree) connected() *run {
	r := j.begin(nil, j.compile(j.family, "allpairs"), "go")
	r.wait(fmt.Sprintf(`^%d ranks are connected$`, j.ranks))
	return r
}

// ends waits for a right answer and the end.
func (j *tree) ends(r *run) {
	j.t.Helper()
	if l := r.wait(`^ Verification\s*=`); !strings.HasSuffix(l, "   SUCCESSFUL") {
		j.t.Fatalf("the job said %q", l)
	}
	if n := r.status(); n != 0 {
		j.t.Errorf("after the verification the run ended with %d, want 0:\n%s", n, r.output())
	}
}

func TestTreeOfHostsGoesOnOnHalfAsManyOthers(t *testing.T) {
	ranks, hosts := *scaleRanks, 32
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			j := newTree(t, family, ranks, hosts)
			j.connected()
			j.checkpoint(1, "ck")
			r := j.moves()
			want := map[int]int{}
			for h := hosts + 1; h <= hosts+hosts/2; h++ {
				want[h] = 2 * ranks / hosts
			}
			j.expectRanks("allpairs", want)
			j.touch("go")
			j.ends(r)
			if list := j.ls(hosts+1, "ck"); len(list) != 1 || !list[0].Complete || list[0].Ranks != ranks || list[0].Pods != hosts {
				t.Errorf("ls --json = %+v, want one complete generation of %d ranks in %d pods", list, ranks, hosts)
			}
		})
	}
}

// MPICH's ranks do not give their processor to others while they wait, and those
// of CG wait all the time: with more ranks than processors it takes hours.
func TestNASProgramsOfManyRanksEndRightOnOtherHosts(t *testing.T) {
	if !*scaleNAS {
		t.Skip("takes minutes; make test-scale runs it")
	}
	for _, program := range []string{"openmpi/ep", "openmpi/cg", "mpich/ep"} {
		t.Run(program, func(t *testing.T) {
			family := filepath.Dir(program)
			j := newTree(t, family, *scaleRanks, 32)
			r := j.begin([]string{"NAS_REPEAT=4", "NAS_PACE=500"}, program, "S")
			r.wait(`^ Iteration`)
			j.checkpoint(1, "ck")
			j.finish(j.moves(), family)
		})
	}
}

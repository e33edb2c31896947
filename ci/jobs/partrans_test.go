package jobs

import (
	"flag"
	"path/filepath"
	"strings"
	"testing"
)

// kills is how often the particle transport is killed.
var kills = flag.Int("partrans.kills", 2, "how often the particle transport is killed and restarted")

func TestTallyIsTheSameAfterKillsAndRestartsOnChangingHosts(t *testing.T) {
	const hosts = 5
	libraries, err := filepath.Glob("../../bin/partrans/lib/*.so")
	if err != nil || len(libraries) == 0 {
		t.Fatalf("no libraries in bin/partrans/lib (%v): run make build first", err)
	}
	// A job on two hosts, and the two next to them when they die.
	pair := func(life int) (from, other int) { return life*2%hosts + 1, (life*2+1)%hosts + 1 }
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			s := newSite(t, hosts)
			program := "partrans/" + family + "/partrans"
			s.copy("../../bin/"+program, program)
			for _, l := range libraries {
				s.copy(l, "partrans/lib/"+filepath.Base(l))
			}
			job := []string{program, itoa(60 * (*kills + 1)), "16", "30"}

			// Undisturbed, and with another number of workers.
			r := s.start(hosts, nil, append([]string{"-np", "2", "--mpi", family}, job...)...)
			want := r.wait(`^ Tally `)
			s.finish(r, family)

			from, other := pair(0)
			r = s.start(from, []string{"PARTRANS_PACE=20"}, append([]string{"-np", "4", "-host", at(from, other), "--ckpt-dir", "ck", "--mpi", family}, job...)...)
			for life := 1; life <= *kills; life++ {
				for range 10 {
					r.wait(`^ Event `)
				}
				s.checkpoint(from, "ck")
				s.reboot(from, other)
				from, other = pair(life)
				r = s.start(from, nil, "restart", "-host", at(from, other), "ck")
				r.said(`(?m)^gompirun: checkpoint \d+ restarted`)
				s.expectRanks("partrans", map[int]int{from: 2, other: 2})
			}
			if got := r.wait(`^ Tally `); got != want {
				t.Errorf("after %d kills the tally is\n%s, want\n%s", *kills, got, want)
			}
			s.finish(r, family)
			if out := r.output(); !strings.Contains(out, "unchanged") {
				t.Errorf("the tables are not the ones computed at the start:\n%s", out)
			}
		})
	}
}

// at is two hosts with two slots each.
func at(a, b int) string { return "h" + itoa(a) + ":2,h" + itoa(b) + ":2" }

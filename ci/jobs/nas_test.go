package jobs

import (
	"path/filepath"
	"testing"
)

// iterations is how many lines ` Iteration k` a program prints in class S.
var iterations = map[string]int{"ep": 16, "is": 10, "cg": 15, "mg": 4, "ft": 6, "lu": 50, "bt": 60, "sp": 100}

func TestEveryNASProgramGoesOnOnOtherHosts(t *testing.T) {
	// Rank 0 rests that long in all: a checkpoint falls into the middle of the
	// run, however fast the program is.
	const rest = 3000 // ms
	for _, family := range families {
		programs, err := filepath.Glob(filepath.Join("../../bin/nas", family, "*"))
		if err != nil || len(programs) == 0 {
			t.Fatalf("no programs in bin/nas/%s (%v): run make build first", family, err)
		}
		for _, path := range programs {
			program := filepath.Base(path)
			t.Run(family+"/"+program, func(t *testing.T) {
				if iterations[program] == 0 {
					t.Fatalf("how many iterations %s has in class S is not known here", program)
				}
				s := newSite(t, 4)
				r := s.start(1, []string{"NAS_PACE=" + itoa(rest/iterations[program])}, "-np", "4", "-host", "h1:2,h2:2",
					"--ckpt-dir", "ck", "--ckpt-interval", "0.5s", "--mpi", family, family+"/"+program, "S")
				r.said(`(?m)^gompirun: checkpoint 1: `)
				s.Kill(1)
				s.Kill(2)
				r = s.start(3, nil, "restart", "-host", "h3:2,h4:2", "ck")
				r.said(`(?m)^gompirun: checkpoint \d+ restarted`)
				s.expectRanks(program, map[int]int{3: 2, 4: 2})
				s.finish(r, family)
			})
		}
	}
}

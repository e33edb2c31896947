package jobs

import (
	"testing"
	"time"
)

// traces lists what lies in the directories of a host where jobs leave things.
// Hosts come up with them empty but for /run, where sshd has its own.
func (s *site) traces(host int) string {
	s.t.Helper()
	out, err := s.RootCommand(host, "sh", "-c", "find /tmp /dev/shm /run /var/tmp -user mpi").Output()
	if err != nil {
		s.t.Fatalf("find on h%d: %v", host, err)
	}
	return string(out)
}

// empty waits until a host has no process of the job any more.
func (s *site) empty(host int, names ...string) {
	s.t.Helper()
	limit := time.Now().Add(patience)
	for _, name := range names {
		for s.ranks(host, name) > 0 {
			if time.Now().After(limit) {
				s.t.Fatalf("h%d still runs %s after %v", host, name, patience)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func TestNothingIsLeftOnHosts(t *testing.T) {
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			s := newSite(t, 4)
			pairs := s.compile(family, "pairs")
			r := s.start(1, nil, "-np", "4", "-host", "h1:2,h2:2", "--ckpt-dir", "ck", "--mpi", family, pairs, "meet", "stop")
			for range 4 {
				r.wait(`^rank . waits`)
			}
			s.checkpoint(1, "ck")
			// Everything dies at once and nobody can tidy up, but the hosts live on.
			for h := 1; h <= 2; h++ {
				s.root(t, h, "kill -9 -1")
			}
			for h := 1; h <= 2; h++ {
				s.empty(h, "pairs", "gompirun", "gompirun-pod", "orted", "hydra_pmi_proxy")
				if left := s.traces(h); left != "" {
					t.Errorf("everything was killed, and h%d has left:\n%s", h, left)
				}
			}
			r = s.start(3, nil, "restart", "-host", "h3,h4", "ck")
			s.meetAll(r)
			s.touch("stop")
			s.finish(r, family)
			for h := 3; h <= 4; h++ {
				s.empty(h, "pairs", "gompirun", "gompirun-pod", "orted", "hydra_pmi_proxy")
				if left := s.traces(h); left != "" {
					t.Errorf("the job ended, and h%d has left:\n%s", h, left)
				}
			}
		})
	}
}

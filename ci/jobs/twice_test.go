package jobs

import "testing"

// Two coordinators on one store would each believe to be the only one that
// counts its generations, and their jobs would do everything twice.
func TestRunningJobIsNotRestartedOnAnotherHost(t *testing.T) {
	s := newSite(t, 3)
	r := s.start(1, []string{"NAS_REPEAT=10000"}, "-np", "2", "-host", "h1:1,h2:1", "--ckpt-dir", "ck", "--mpi", "openmpi", "openmpi/cg", "S")
	r.progress(2)
	s.checkpoint(1, "ck")
	s.refusedOn(t, 3, 76, []string{"another running job uses", "on host h1 since 2", "ssh h1 gompirun checkpoint --stop /home/mpi/ck"},
		"restart", "-host", "h3", "ck")
	s.refusedOn(t, 3, 125, []string{"another running job uses", "on host h1 since 2", "--ckpt-dir"}, "--ckpt-dir", "ck", "true")
	if n := s.ranks(3, "cg"); n != 0 {
		t.Errorf("after the refused restart h3 runs %d ranks", n)
	}
	r.progress(2)
	s.checkpoint(1, "ck")
	s.Kill(1)
	r = s.start(3, nil, "restart", "-host", "h3", "ck")
	r.progress(2)
	s.checkpoint(3, "ck")
}

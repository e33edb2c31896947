package jobs

import "testing"

// A job comes back although nothing can be written to its store, and can be
// checkpointed as soon as that has changed.
func TestRestartNeedsNoStoreThatCanBeWrittenTo(t *testing.T) {
	s := newSite(t, 1)
	const small = "/mnt/small"
	s.root(t, 1, "mkdir -p "+small+" && mount -t tmpfs -o size=150m,mode=700,uid=2000 small "+small)
	r := s.start(1, []string{"NAS_REPEAT=10000"}, "-np", "2", "--ckpt-dir", small+"/ck", "--mpi", "openmpi", "openmpi/cg", "S")
	r.progress(2)
	s.checkpoint(1, small+"/ck", "--stop")
	r.status()
	for _, tt := range []struct{ name, harm, says, mend string }{
		{"read-only", "mount -o remount,ro " + small, "read-only file system", "mount -o remount,rw " + small},
		{"full", "head -c 1G /dev/zero >" + small + "/filler 2>/dev/null; true", "no space left on device", "rm " + small + "/filler"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.root(t, 1, tt.harm)
			r := s.start(1, nil, "restart", small+"/ck")
			r.said(`the job runs, but no checkpoint of it can be made until this is mended: .*` + tt.says)
			r.progress(2)
			s.refused(t, 125, []string{tt.says, "the job goes on running, no checkpoint was made"}, "checkpoint", small+"/ck")
			r.progress(2)
			s.root(t, 1, tt.mend)
			s.checkpoint(1, small+"/ck")
			s.checkpoint(1, small+"/ck", "--stop")
			if n := r.status(); n != 75 {
				t.Errorf("the run that was stopped ended with %d, want 75", n)
			}
		})
	}
}

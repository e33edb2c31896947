package tracer_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// twin makes a copy of a victim and returns its pid. Finished tells whether
// FinishTwin is called: else the tracer does not know yet that there is one.
func twin(t *testing.T, tr *tracer.Tracer, v *victim, finished bool) (pid int) {
	t.Helper()
	err := tr.Do(func(tr tracer.Tracing) error {
		vdso, err := stop(tr, v.pid())
		if err != nil {
			return err
		}
		r, err := tr.EnterBare(v.pid(), vdso)
		if err != nil {
			return err
		}
		if err := r.StartTwin(); err != nil || !finished {
			return err
		}
		if pid, err = r.FinishTwin(); err != nil {
			return err
		}
		return r.LeaveBare()
	})
	if err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(10 * time.Second); pid == 0; {
		if list, err := procfs.Children(v.pid()); err == nil && len(list) == 1 {
			pid = list[0]
		} else if time.Now().After(limit) {
			t.Fatalf("the victim has the children %v (%v), want its copy", list, err)
		}
	}
	return pid
}

// A copy whose tracer has died must not run: it would do everything that the
// program does once more.
func TestTwinNeverRunsOnItsOwn(t *testing.T) {
	for _, finished := range []bool{true, false} {
		t.Run(fmt.Sprintf("finished=%v", finished), func(t *testing.T) {
			v := startVictim(t)
			tr := tracer.New()
			pid := twin(t, tr, v, finished)
			tr.Close()
			dead := func() bool {
				st, err := procfs.ReadStatus(fmt.Sprintf("/proc/%d", pid))
				return err != nil || st.State == 'Z'
			}
			for limit := time.Now().Add(10 * time.Second); !dead(); time.Sleep(time.Millisecond) {
				if time.Now().After(limit) {
					t.Fatal("the copy lives without its tracer")
				}
			}
			if finished { // else the victim, too, was left in the middle of a call
				v.ask(t, "on")
			}
		})
	}
}

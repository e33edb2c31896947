package tracer_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// A batch makes its calls in order, more than fit at once, and neither it nor a
// single call takes from a program what it wants to do about SIGTRAP: by that the
// kernel tells of steps and breakpoints.
func TestBatchMakesItsCallsAndLeavesSIGTRAPAlone(t *testing.T) {
	for _, trap := range []string{":", "trap : TRAP", "trap '' TRAP"} {
		t.Run(trap, func(t *testing.T) {
			v := startVictim(t, trap)
			status := func() procfs.Status {
				st, err := procfs.ReadStatus(fmt.Sprintf("/proc/%d", v.pid()))
				if err != nil {
					t.Fatal(err)
				}
				return st
			}
			before := status()
			tr := tracer.New()
			defer tr.Close()
			var got, want []int
			err := tr.Do(func(tr tracer.Tracing) error {
				vdso, err := stop(tr, v.pid())
				if err != nil {
					return err
				}
				r, err := tr.Enter(v.pid(), vdso)
				if err != nil {
					return err
				}
				b := r.Batch()
				for i := range 300 {
					want = append(want, i, v.pid())
					if err := errors.Join(
						// umask returns what the call before has set.
						b.Ask(0, func(ret uint64, _ []byte, err error) error { got = append(got, int(ret)); return err }, unix.SYS_UMASK, uint64(i+1)),
						b.Ask(8, func(_ uint64, out []byte, err error) error {
							got = append(got, int(binary.LittleEndian.Uint32(out)))
							return err
						}, unix.SYS_PRCTL, 40, tracer.Out), // PR_GET_TID_ADDRESS: an address
						b.Tell("set its name", fmt.Appendf(nil, "name %d\x00", i), unix.SYS_PRCTL, unix.PR_SET_NAME, tracer.In),
						b.Ask(16, func(_ uint64, out []byte, err error) error {
							if name, _, _ := strings.Cut(string(out), "\x00"); name != fmt.Sprintf("name %d", i) {
								t.Errorf("the victim's name is %q, want name %d", name, i)
							}
							return err
						}, unix.SYS_PRCTL, unix.PR_GET_NAME, tracer.Out),
						b.Ask(0, func(_ uint64, _ []byte, err error) error {
							if !errors.Is(err, unix.EBADF) {
								t.Errorf("close(-1) in the victim = %v, want EBADF", err)
							}
							return nil
						}, unix.SYS_CLOSE, ^uint64(0)),
					); err != nil {
						return err
					}
				}
				if err := b.Run(); err != nil {
					return err
				}
				err = errors.Join(b.Tell("close a descriptor", nil, unix.SYS_CLOSE, ^uint64(0)), b.Run())
				if !errors.Is(err, unix.EBADF) || !strings.HasPrefix(err.Error(), "close a descriptor: ") {
					t.Errorf("a call that fails is %v, want what it was to do", err)
				}
				_, err = r.Syscall(unix.SYS_UMASK, uint64(before.Umask))
				return errors.Join(err, r.Leave(), tr.Detach(v.pid()))
			})
			if err != nil {
				t.Fatal(err)
			}
			want[0] = before.Umask
			for i := range want {
				if i%2 == 1 {
					want[i] = got[1] // the same each time
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("the calls returned %v, want %v", got, want)
			}
			if after := status(); after.SigCgt != before.SigCgt || after.SigIgn != before.SigIgn {
				t.Errorf("the victim catches %x and ignores %x, want %x and %x", after.SigCgt, after.SigIgn, before.SigCgt, before.SigIgn)
			}
			v.ask(t, "on")
		})
	}
}

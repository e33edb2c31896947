package mem

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/internal/testuser"
	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

func TestMain(m *testing.M) {
	pod.MaybeInit()
	os.Exit(m.Run())
}

// The place that the image wants may overlap the one where the stub has it.
func TestVDSOMovesByLessThanItsSize(t *testing.T) {
	testuser.Again(t)
	p, err := pod.Start(pod.Config{HostName: "x"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	for i, by := range []int64{0, 1, -1, 3, -5, 100000} {
		t.Run(fmt.Sprint(by), func(t *testing.T) {
			if err := p.With(func(tr tracer.Tracing, init *tracer.Remote) error { return moved(tr, init, p, 77+i, by*PageSize) }); err != nil {
				t.Error(err)
			}
		})
	}
}

// moved rebuilds a stub with its vdso elsewhere, makes a call there and ends it.
func moved(tr tracer.Tracing, init *tracer.Remote, p *pod.Pod, id int, by int64) error {
	vmas, err := procfs.Maps(p.Init, false)
	if err != nil {
		return err
	}
	im := &image.Process{PID: id}
	for _, v := range vmas {
		if Kernel(v.Name) && v.Name != "[vsyscall]" {
			im.Mappings = append(im.Mappings, image.Mapping{Start: uint64(int64(v.Start) + by), End: uint64(int64(v.End) + by), Name: v.Name})
		}
	}
	pid, err := pod.Clone(tr, init, pod.CloneArgs{ExitSignal: unix.SIGCHLD, PID: im.PID})
	if err != nil {
		return err
	}
	defer func() { _ = tr.Kill(pid) }() // the init reaps it
	if err := tr.SetOptions(pid, tracer.Stub); err != nil {
		return err
	}
	r, err := tr.EnterBare(pid, p.VDSO)
	if err != nil {
		return err
	}
	r.UseScratch(init.Scratch())
	scratch, err := moveScratch(r, vmas, im)
	if err != nil {
		return err
	}
	if err := clearOut(r, vmas); err != nil {
		return err
	}
	if err := moveVDSO(r, vmas, im, scratch); err != nil {
		return err
	}
	if n, err := r.Syscall(unix.SYS_GETPID); err != nil || n != uint64(im.PID) {
		return fmt.Errorf("getpid in the moved vdso = %d, %w; want %d", n, err, im.PID)
	}
	now, err := procfs.Maps(pid, false)
	if err != nil {
		return err
	}
	var got []image.Mapping
	for _, v := range now {
		if Kernel(v.Name) && v.Name != "[vsyscall]" {
			got = append(got, image.Mapping{Start: v.Start, End: v.End, Name: v.Name})
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(im.Mappings) {
		return fmt.Errorf("the kernel's mappings are %v, want %v", got, im.Mappings)
	}
	return nil
}

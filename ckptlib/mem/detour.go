package mem

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/probe"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// A detour is how a program that has known the vdso of another kernel goes on.
// Where that was lies ordinary memory with the old code, and each of its functions
// begins with a jump to the same one of this kernel's, which lies elsewhere. To the
// next checkpoint both are what they are: memory, and this kernel's vdso.
//
// A thread that was in the middle of a function goes on in a second copy, of which
// nothing is changed. What was the old vdso's data is zeros: the function finds
// there that the data has changed, begins again, and finds no clock that it could
// read (VDSO_CLOCKMODE_NONE): it makes the system call. What is data to it, and no
// clock, is not seen to: coarse clocks, and the offsets of a time namespace, which
// it adds in the end.
type detour struct {
	at    uint64
	code  []byte
	spare uint64 // of the second copy, 0 if there is none
	old   []byte
}

// oldVDSO names the memory, where the kernel can (CONFIG_ANON_VMA_NAME).
const oldVDSO = "[anon:vdso of another kernel]"

// makeDetour gives this kernel's vdso a place in an image, and makes memory of
// the other.
func makeDetour(vdso []byte, vmas []procfs.VMA, im *image.Process) (*detour, error) {
	if vdso == nil {
		return nil, nil
	}
	var own []image.Mapping
	for i := range vmas {
		if v := &vmas[i]; Kernel(v.Name) && v.Name != "[vsyscall]" {
			own = append(own, image.Mapping{Start: v.Start, End: v.End, Name: v.Name, Prot: prot(v)})
		}
	}
	if len(own) == 0 {
		return nil, errors.New("this kernel has no vdso")
	}
	d := &detour{old: vdso}
	var theirs []image.Mapping
	for i := range im.Mappings {
		m := &im.Mappings[i]
		if !Kernel(m.Name) {
			continue
		}
		if m.Name == "[vdso]" {
			if d.at = m.Start; m.End-m.Start < uint64(len(vdso)) {
				return nil, fmt.Errorf("the vdso of the checkpoint has %d bytes, and room for %d: the image is damaged", len(vdso), m.End-m.Start)
			}
		}
		m.Name = oldVDSO
		theirs = append(theirs, *m)
	}
	first := own[0].Start
	to, err := hole(own[len(own)-1].End-first, vmas, im)
	if err != nil {
		return nil, err
	}
	var now uint64
	for _, m := range own {
		m.Start, m.End = m.Start-first+to, m.End-first+to
		if m.Name == "[vdso]" {
			now = m.Start
		}
		im.Mappings = append(im.Mappings, m)
	}
	if err := d.moveThreads(theirs, vmas, im); err != nil {
		return nil, err
	}
	slices.SortFunc(im.Mappings, func(a, b image.Mapping) int { return cmp.Compare(a.Start, b.Start) })
	d.code, err = Bend(vdso, now)
	return d, err
}

// moveThreads makes the second copy, with data as far from it, if there are threads
// for it.
func (d *detour) moveThreads(theirs []image.Mapping, vmas []procfs.VMA, im *image.Process) error {
	var by uint64
	for i := range im.Threads {
		th := &im.Threads[i]
		r, ok := tracer.RegsFrom(th.Registers)
		if !ok || r.Rip-d.at >= uint64(len(d.old)) || d.at == 0 {
			continue
		}
		if by == 0 {
			first := theirs[0].Start
			to, err := hole(theirs[len(theirs)-1].End-first, vmas, im)
			if err != nil {
				return err
			}
			by = to - first
			d.spare = d.at + by
			for _, m := range theirs {
				m.Start, m.End = m.Start+by, m.End+by
				im.Mappings = append(im.Mappings, m)
			}
		}
		r.Rip += by
		th.Registers = tracer.RegsBytes(&r)
	}
	return nil
}

// write puts the code in place.
func (d *detour) write(pid int) error {
	if d == nil || d.at == 0 {
		return nil // a program may have unmapped its vdso
	}
	t, err := NewProcessTarget(pid, nil)
	if err != nil {
		return err
	}
	defer t.Close()
	if err := t.write(d.at/PageSize, d.code); err != nil || d.spare == 0 {
		return err
	}
	return t.write(d.spare/PageSize, d.old)
}

// vdsoCalls are the functions of vdsos, with the system calls that do the same.
// The state of getrandom, which the program keeps, is of the kernel that made it.
var vdsoCalls = map[string]uint32{
	"clock_gettime": unix.SYS_CLOCK_GETTIME, "gettimeofday": unix.SYS_GETTIMEOFDAY, "time": unix.SYS_TIME,
	"clock_getres": unix.SYS_CLOCK_GETRES, "getcpu": unix.SYS_GETCPU, "getrandom": unix.SYS_GETRANDOM,
}

// detourSize is how many bytes of a function are changed.
const detourSize = 12

// Bend returns the code of a vdso in which functions lead to those of this
// kernel's at an address.
func Bend(vdso []byte, now uint64) ([]byte, error) {
	old, err := vdsoFunctions(vdso)
	if err != nil {
		return nil, fmt.Errorf("read the vdso of the checkpoint's kernel: %w", err)
	}
	own, err := vdsoFunctions(probe.VDSOCode())
	if err != nil {
		return nil, fmt.Errorf("read this kernel's vdso: %w", err)
	}
	starts := []uint64{uint64(len(vdso))}
	for _, at := range old {
		starts = append(starts, at)
	}
	slices.Sort(starts)
	code := slices.Clone(vdso)
	for name, at := range old {
		name = strings.TrimPrefix(name, "__vdso_")
		nr, known := vdsoCalls[name]
		if !known {
			continue // it needs nothing of the kernel's data
		}
		i, _ := slices.BinarySearch(starts, at+1)
		if i == len(starts) || starts[i]-at < detourSize {
			return nil, fmt.Errorf("the function %s of the checkpoint's vdso is too short to be replaced", name)
		}
		to, ok := own["__vdso_"+name]
		if name == "getrandom" || !ok {
			copy(code[at:], callInstead(nr))
			continue
		}
		copy(code[at:], jump(now+to))
	}
	return code, nil
}

// jump is mov rax, to; jmp rax.
func jump(to uint64) []byte {
	return append(binary.LittleEndian.AppendUint64([]byte{0x48, 0xb8}, to), 0xff, 0xe0)
}

// callInstead is mov eax, nr; syscall; ret. The arguments are where the kernel
// expects them but for a fourth, which none of the calls has.
func callInstead(nr uint32) []byte {
	return append(binary.LittleEndian.AppendUint32([]byte{0xb8}, nr), 0x0f, 0x05, 0xc3)
}

// vdsoFunctions lists the functions that a vdso offers, by their names.
func vdsoFunctions(vdso []byte) (map[string]uint64, error) {
	f, err := elf.NewFile(bytes.NewReader(vdso))
	if err != nil {
		return nil, err
	}
	syms, err := f.DynamicSymbols()
	if err != nil {
		return nil, err
	}
	out := map[string]uint64{}
	for _, s := range syms {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Value < uint64(len(vdso)) {
			out[s.Name] = s.Value
		}
	}
	return out, nil
}

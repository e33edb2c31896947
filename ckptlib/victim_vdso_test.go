package ckptlib_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/store"
)

// alter makes a generation of the newest one with another image.
func (j *job) alter(change func(*image.Pod)) {
	j.t.Helper()
	must := func(err error) {
		j.t.Helper()
		if err != nil {
			j.t.Fatal(err)
		}
	}
	g, err := j.store.Load(j.gen)
	must(err)
	b, err := g.ReadImage(0, "json")
	must(err)
	im, err := image.Decode(b)
	must(err)
	change(im)
	if b, err = image.Encode(im); err != nil {
		j.t.Fatal(err)
	}
	pages, err := g.ReadImage(0, "pages")
	must(err)
	gen, err := j.store.Begin()
	must(err)
	m := store.Manifest{}
	for kind, data := range map[string][]byte{"json": b, "pages": pages} {
		f, err := j.store.WriteImage(gen, 0, kind, data)
		must(err)
		m.Files = append(m.Files, f)
	}
	for _, f := range g.Manifest.Files {
		if strings.HasPrefix(f.Name, "packs/") {
			m.Files = append(m.Files, f)
		}
	}
	_, err = j.store.Commit(gen, m)
	must(err)
	j.gen, j.newest = gen, 0
}

// anotherKernel gives an image a vdso with another layout, of which no old code
// can run: functions begin where they began, or nobody could have called them,
// but one begins elsewhere by another of its names; and its data takes less room.
func anotherKernel(t *testing.T, im *image.Pod) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(im.VDSOCode))
	if err != nil {
		t.Fatal(err)
	}
	syms, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	const trap = 0xcc
	code := slices.Clone(im.VDSOCode)
	for _, s := range syms {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC {
			copy(code[s.Value:s.Value+s.Size], bytes.Repeat([]byte{trap}, int(s.Size)))
		}
	}
	table := f.Section(".dynsym")
	for i, s := range syms { // after the first symbol, which is none
		if s.Name == "clock_gettime" {
			binary.LittleEndian.PutUint64(code[table.Offset+uint64(i+1)*elf.Sym64Size+8:], s.Value+0x20)
		}
	}
	im.VDSO, im.VDSOCode = "another", code
	for i := range im.Processes {
		p := &im.Processes[i]
		p.Mappings = slices.DeleteFunc(p.Mappings, func(m image.Mapping) bool { return m.Name == "[vvar_vclock]" })
	}
}

func TestProgramOfAnotherKernelHasThisOnesClocks(t *testing.T) {
	asUser(t)
	j := victim(t, "vdso")
	j.want("clocks", "1 1 1 1")
	j.want("symbol", "1 is the kernel's")
	j.checkpoint()
	j.alter(func(im *image.Pod) { anotherKernel(t, im) })
	j.restart()
	for range 2 {
		j.want("clocks", "1 1 1 1")
		j.want("symbol", "1 leads to the kernel's")
		before := j.unharmed()
		j.reborn(before) // under the same kernel now
	}
	// A third kernel: a detour that leads to a detour.
	j.alter(func(im *image.Pod) { anotherKernel(t, im) })
	j.restart()
	j.want("clocks", "1 1 1 1")
}

// A thread may be anywhere in the vdso when it is stopped. The pods are new: in
// one that has been restarted before, the offsets of its clocks are among the old
// data, too, and may be missed once (docs/limits.md).
func TestThreadsInsideOfAnotherKernelsVDSOComeOut(t *testing.T) {
	asUser(t)
	prog := compile(t, "vdso")
	inside := 0
	for range 3 {
		j := ready(t, prog, "0", "1", "7") // CLOCK_REALTIME, _MONOTONIC, _BOOTTIME
		j.want("spin", "ok")
		j.checkpoint()
		j.alter(func(im *image.Pod) {
			inside += insideVDSO(im)
			im.VDSO = "another"
		})
		j.restart()
		j.want("spin", "ok")
		j.pod.Kill()
	}
	if inside == 0 {
		t.Error("no thread was stopped inside of the vdso, which they hardly ever leave")
	}
}

// insideVDSO counts the threads that were stopped in the vdso.
func insideVDSO(im *image.Pod) (n int) {
	for i := range im.Processes {
		p := &im.Processes[i]
		for _, m := range p.Mappings {
			for _, th := range p.Threads {
				const rip = 16 * 8 // in struct user_regs_struct
				at := binary.LittleEndian.Uint64(th.Registers[rip:])
				if m.Name == "[vdso]" && m.Start <= at && at < m.End {
					n++
				}
			}
		}
	}
	return n
}

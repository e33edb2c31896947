package ckptlib_test

import (
	"testing"
	"time"
)

func TestPrivateMemoryIsKept(t *testing.T) {
	asUser(t)
	j := victim(t, "private", "64")
	same := j.same("sum", "child")
	start := time.Now()
	before := j.unharmed()
	same("after the checkpoint")
	j.checkpoint()
	t.Logf("two checkpoints of 64 MiB and 1 TiB of nothing: %v", time.Since(start))
	grown := j.ask("grow")
	if want := "brk 1, stack 1, down 3"; grown != want {
		t.Errorf("before the restart, grow = %q, want %q", grown, want)
	}
	for range 2 {
		j.reborn(before)
		same("after the restart")
		j.checkpoint()
		j.want("grow", grown)
	}
}

func TestSharedMemoryIsKept(t *testing.T) {
	asUser(t)
	j := victim(t, "shared")
	first := j.same("check", "ipc", "files")
	before := j.unharmed()
	first("after the checkpoint")
	j.checkpoint()
	j.want("write", "written")
	written := j.ask("check")
	j.want("pour", "poured mine NEW")
	for range 2 {
		j.reborn(before)
		first("after the restart")
		j.checkpoint()
		j.want("write", "written")
		j.want("check", written)
		first2 := j.same("ipc", "files")
		first2("after writing")
		j.want("pour", "poured mine NEW")
	}
}

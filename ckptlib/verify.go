package ckptlib

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/ckptlib/probe"
)

// Verify looks whether this host can run a pod, and touches nothing. The error
// joins one for each obstacle, each with its remedy; warnings tell what will be
// different.
func Verify(im *image.Pod) (warnings []string, err error) {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if im.Arch != runtime.GOARCH {
		add("the checkpoint is of %s and this host is %s: restart on a host of the same architecture", im.Arch, runtime.GOARCH)
		return nil, errors.Join(errs...)
	}
	if uid := os.Geteuid(); uid != im.UID {
		add("the job was run by user %d and you are user %d: restart it as that user", im.UID, uid)
	}
	if missing := probe.MissingFeatures(im.CPU, probe.CPU()); len(missing) > 0 {
		add("this host's processor (%s) lacks what the job may be using: %s; restart on a processor like %s",
			probe.CPU().Model, strings.Join(missing, " "), im.CPU.Model)
	}
	if err := verifyVDSO(im); err != nil {
		errs = append(errs, err)
	}
	seen := map[string]bool{}
	for i := range im.Processes {
		p := &im.Processes[i]
		if p.Zombie != nil {
			continue
		}
		if cwd := p.FS.Cwd; !seen[cwd] && !private(cwd) {
			seen[cwd] = true
			if st, err := os.Stat(cwd); err != nil || !st.IsDir() {
				add("process %d: its working directory %s is not on this host: make it, or mount its file system, or say where it is by --path-map", p.PID, cwd)
			}
		}
		for _, m := range p.Mappings {
			if m.File == nil || m.File.Deleted || seen[m.File.Path] || private(m.File.Path) {
				continue
			}
			seen[m.File.Path] = true
			err := sameFile("", m.File)
			switch {
			case err == nil:
			case m.File.Hash == "":
				if errors.Is(err, os.ErrNotExist) {
					add("process %d: the mapped file %s is not on this host: mount its file system, or say where it is by --path-map", p.PID, m.File.Path)
				}
			default:
				warnings = append(warnings, fmt.Sprintf("%v; the copy in the checkpoint will be used", err))
			}
		}
	}
	for i := range im.Files {
		f := im.Files[i].Regular
		if f == nil || f.Deleted || seen[f.Path] || private(f.Path) || strings.HasPrefix(f.Path, "/proc/") {
			continue
		}
		seen[f.Path] = true
		if _, err := os.Lstat(f.Path); err != nil {
			add("the open file %s is not on this host: mount its file system, copy it, or say where it is by --path-map", f.Path)
		}
	}
	return warnings, errors.Join(errs...)
}

// private tells paths of the pod's own file systems.
func private(path string) bool {
	for _, dir := range []string{pod.ShmDir, "/dev/pts", "/dev/mqueue"} {
		if path == dir || strings.HasPrefix(path, dir+"/") {
			return true
		}
	}
	return false
}

// verifyVDSO looks at the code that the kernel maps into every process, and into
// which a program keeps pointers: the checkpoint's must be this kernel's, or such
// that it can be made to lead to that.
func verifyVDSO(im *image.Pod) error {
	vdso := otherVDSO(im)
	if vdso == nil {
		return nil
	}
	if _, err := mem.Bend(vdso, 0); err != nil {
		return fmt.Errorf("this host's kernel (%s) has another vdso than the checkpoint's (%s): restart on a host with the same kernel: %w",
			probe.KernelRelease(), im.Kernel, err)
	}
	return nil
}

// otherVDSO is the vdso of an image, nil if this kernel has the same.
func otherVDSO(im *image.Pod) []byte {
	if im.VDSO == probe.VDSO() {
		return nil
	}
	return append([]byte{}, im.VDSOCode...)
}

package probe

import (
	"encoding/hex"
	"os"
	"sync"

	"github.com/zeebo/xxh3"

	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// VDSO is the xxh3-128 of this kernel's vdso, in hex, "" if there is none. A
// program's C library keeps pointers into it.
var VDSO = sync.OnceValue(func() string {
	b := VDSOCode()
	if b == nil {
		return ""
	}
	sum := xxh3.Hash128(b).Bytes()
	return hex.EncodeToString(sum[:])
})

// VDSOCode is this kernel's vdso, an ELF file, nil if there is none. It must not
// be changed.
var VDSOCode = sync.OnceValue(func() []byte {
	vmas, err := procfs.Maps(os.Getpid(), false)
	if err != nil {
		return nil
	}
	for _, v := range vmas {
		if v.Name == "[vdso]" {
			b := make([]byte, v.End-v.Start)
			if tracer.ReadMemory(os.Getpid(), tracer.Addr(v.Start), b) != nil {
				return nil
			}
			return b
		}
	}
	return nil
})

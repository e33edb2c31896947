package probe

import (
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// CPU describes this host's processor, as far as programs can depend on it.
var CPU = sync.OnceValue(func() image.CPU {
	var c image.CPU
	b, _ := os.ReadFile("/proc/cpuinfo") // without it nothing is known, and nothing is refused
	for line := range strings.Lines(string(b)) {
		key, val, _ := strings.Cut(line, ":")
		val = strings.TrimSpace(val)
		switch strings.TrimSpace(key) {
		case "vendor_id":
			c.Vendor = val
		case "model name":
			c.Model = val
		case "flags":
			c.Features = strings.Fields(val)
			slices.Sort(c.Features)
		}
		if line == "\n" {
			break // the other processors are the same
		}
	}
	return c
})

// MissingFeatures lists what an image's processor has and this host's has not,
// of what programs can use: the flags that only a kernel or hypervisor sees do
// not count.
func MissingFeatures(had, has image.CPU) []string {
	var out []string
	for _, f := range had.Features {
		if _, found := slices.BinarySearch(has.Features, f); !found && userVisible(f) {
			out = append(out, f)
		}
	}
	return out
}

// userVisible tells the instruction sets, whose names in /proc/cpuinfo begin as
// these, from properties of the machine.
func userVisible(flag string) bool {
	for _, p := range []string{
		"sse", "ssse", "avx", "amx", "fma", "f16c", "bmi", "aes", "vaes", "pclmul", "vpclmul", "sha", "adx", "popcnt", "abm", "movbe",
		"rdrand", "rdseed", "gfni", "xsave", "fsgsbase", "cx16", "lahf_lm", "rtm", "hle", "erms", "fsrm", "clflushopt", "clwb", "movdir",
		"rdpid", "serialize", "pku", "ospke", "enqcmd", "xop", "fma4", "tbm", "3dnow", "mmx", "cmov", "fxsr", "rdtscp", "waitpkg",
	} {
		if strings.HasPrefix(flag, p) {
			return true
		}
	}
	return false
}

// KernelRelease is the kernel's release, such as "6.1.0-28-amd64".
func KernelRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

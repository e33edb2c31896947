package agent

import (
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sort"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/gompirun/gompirun/ckptlib/probe"
	"github.com/gompirun/gompirun/launcher/wire"
)

// Version is gompirun's version: that of its module, or "devel" with the
// revision it was built from.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	v := "devel"
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			v += "-" + s.Value[:12]
		}
	}
	return v
}

// Hello says who this process and its host are.
func Hello() (wire.Hello, error) {
	h := wire.NewHello()
	h.Version, h.Kernel, h.PID, h.UID = Version(), probe.KernelRelease(), os.Getpid(), os.Getuid()
	var err, addrErr, buildErr error
	h.HostName, err = os.Hostname()
	h.Addresses, addrErr = addresses()
	h.Build, buildErr = build()
	if boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		h.BootID = strings.TrimSpace(string(boot))
	}
	return h, errors.Join(err, addrErr, buildErr)
}

// build names the executable that runs, of which the file may have been replaced
// meanwhile: by the hash of its content that go build has left in it, or by another
// where it was linked without.
func build() (string, error) {
	hash, err := buildID(ownFile)
	if err == nil && hash == "" {
		hash, err = contentHash()
	}
	if err != nil {
		err = fmt.Errorf("read this program's own file: %w", err)
	}
	return hash, err
}

const ownFile = "/proc/self/exe"

// buildID is the last of the hashes in the note that the Go linker writes, the one of
// the content (go tool buildid), "" if it was told to write something else.
func buildID(path string) (string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	note := f.Section(".note.go.buildid")
	if note == nil {
		return "", nil
	}
	b, err := note.Data()
	const head = 16 // sizes of a name and of the id, a type, and the name, "Go"
	if err != nil || len(b) < head {
		return "", err
	}
	id := strings.TrimRight(string(b[head:]), "\x00")
	if i := strings.LastIndexByte(id, '/'); i >= 0 {
		return id[i+1:], nil
	}
	return "", nil
}

func contentHash() (string, error) {
	f, err := os.Open(ownFile)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := xxh3.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	sum := h.Sum128().Bytes()
	return hex.EncodeToString(sum[:]), nil
}

// addresses lists the addresses of interfaces that are up, without loopback. A
// link-local one has its zone, and comes last: it means nothing elsewhere.
func addresses() ([]netip.Addr, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list the network interfaces: %w", err)
	}
	var out []netip.Addr
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		list, err := i.Addrs()
		if err != nil {
			continue // it went away meanwhile
		}
		for _, a := range list {
			p, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue // not an internet address
			}
			addr := p.Addr().Unmap()
			if addr.IsLinkLocalUnicast() && addr.Is6() {
				addr = addr.WithZone(i.Name)
			}
			out = append(out, addr)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return rank(out[i]) < rank(out[j]) })
	return out, nil
}

// rank orders addresses by how widely they are of use.
func rank(a netip.Addr) int {
	switch {
	case a.IsLinkLocalUnicast():
		return 2
	case a.Is6():
		return 1
	}
	return 0
}

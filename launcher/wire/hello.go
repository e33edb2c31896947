package wire

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"runtime"
)

// Hello is the first frame of each side.
type Hello struct {
	Protocol int    `json:"protocol"`
	Version  string `json:"version"` // of gompirun
	Build    string `json:"build"`   // a hash of the executable
	Arch     string `json:"arch"`
	Kernel   string `json:"kernel"` // such as 6.1.0-18-amd64
	HostName string `json:"host_name"`
	BootID   string `json:"boot_id"`
	PID      int    `json:"pid"`
	UID      int    `json:"uid"`
	// Processors are those that the process may use.
	Processors int `json:"processors"`
	// Addresses are those of the interfaces that are up, without loopback, link
	// local ones last.
	Addresses []netip.Addr `json:"addresses"`
}

// Goodbye ends a connection before it has begun.
type Goodbye struct {
	Reason string `json:"reason"`
}

// Check returns why two sides cannot work together, or nil.
func (h Hello) Check(other Hello) error {
	switch {
	case h.Protocol != other.Protocol:
		return fmt.Errorf("the agent is of another version: it speaks protocol %d, and this is %d; "+
			"remove ~/.cache/gompirun there", other.Protocol, h.Protocol)
	case h.Arch != other.Arch:
		return fmt.Errorf("the architecture is %s, and this host's %s; one job runs on one architecture", other.Arch, h.Arch)
	case h.Build != other.Build:
		return fmt.Errorf("the agent is another build (%s %.8s, and this is %s %.8s); remove ~/.cache/gompirun there",
			other.Version, other.Build, h.Version, h.Build)
	}
	return nil
}

// NewHello returns a Hello with what the package knows itself.
func NewHello() Hello {
	return Hello{Protocol: Version, Arch: runtime.GOARCH, Processors: runtime.NumCPU()}
}

// readHello takes the first frame of the other side.
func readHello(f Frame) (Hello, error) {
	switch f.Type {
	case TypeHello:
		var h Hello
		if err := json.Unmarshal(f.Body, &h); err != nil {
			return h, fmt.Errorf("the first message is damaged: %w", err)
		}
		return h, nil
	case TypeGoodbye:
		var g Goodbye
		if err := json.Unmarshal(f.Body, &g); err != nil {
			return Hello{}, fmt.Errorf("the first message is damaged: %w", err)
		}
		return Hello{}, fmt.Errorf("it refuses: %s", g.Reason)
	default:
		return Hello{}, &FrameError{fmt.Sprintf("the first frame has type %d, not hello", f.Type)}
	}
}

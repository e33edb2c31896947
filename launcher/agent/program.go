package agent

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/launcher/rpc"
	"github.com/gompirun/gompirun/launcher/wire"
)

// machines are the architectures this program is built for, as ELF names them.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// checkProgram looks whether a program can be started here.
func (a *agent) checkProgram(_ context.Context, f rpc.File) (nothing, error) {
	if !filepath.IsAbs(f.Path) {
		f.Path = filepath.Join(f.Dir, f.Path)
	}
	if st, err := os.Stat(f.Dir); err != nil || !st.IsDir() {
		if err == nil {
			err = unix.ENOTDIR
		}
		return nothing{}, &wire.Error{Kind: wire.KindBadDir, Text: fmt.Sprintf("the working directory %s: %v\n  it must be there on every host; choose another with -wdir", f.Dir, reason(err))}
	}
	st, err := os.Stat(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nothing{}, &wire.Error{Kind: wire.KindMissing, Text: fmt.Sprintf("the program %s is not there", f.Path)}
	case err != nil:
		return nothing{}, &wire.Error{Kind: wire.KindNotExec, Text: fmt.Sprintf("the program %s: %v", f.Path, reason(err))}
	case !st.Mode().IsRegular() || unix.Access(f.Path, unix.X_OK) != nil:
		return nothing{}, &wire.Error{Kind: wire.KindNotExec, Text: fmt.Sprintf("the program %s may not be executed\n  chmod +x it there, if its file system is not mounted noexec", f.Path)}
	}
	e, err := elf.Open(f.Path)
	if err != nil {
		return nothing{}, nil // a script, or nothing that we know better than the kernel
	}
	defer e.Close()
	if want := machines[runtime.GOARCH]; e.Machine != want {
		return nothing{}, &wire.Error{Kind: wire.KindNotExec, Text: fmt.Sprintf("the program %s is for another architecture: %v, and this host is %v", f.Path, e.Machine, want)}
	}
	return nothing{}, nil
}

// reason is an error without the path, which the message has already.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gompirun/gompirun/launcher/rpc"
)

// checkDir looks whether the checkpoint directory is, here too, the one that the
// coordinator means, and whether this host may write to it.
func (a *agent) checkDir(_ context.Context, r rpc.Dir) (nothing, error) {
	const remedy = "it must be on a file system that all hosts of the job share"
	b, err := os.ReadFile(filepath.Join(r.Path, r.Mark))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nothing{}, fmt.Errorf("the checkpoint directory %s is not there, or is another one on this host\n  %s", r.Path, remedy)
	case err != nil:
		return nothing{}, fmt.Errorf("read the checkpoint directory: %w", err)
	case string(b) != r.Content:
		return nothing{}, fmt.Errorf("the checkpoint directory %s is another one on this host\n  %s", r.Path, remedy)
	}
	f, err := os.CreateTemp(r.Path, ".tmp-*")
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	if err != nil {
		return nothing{}, fmt.Errorf("the checkpoint directory %s cannot be written to: %w", r.Path, err)
	}
	return nothing{}, nil
}

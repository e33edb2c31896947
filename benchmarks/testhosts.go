package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gompirun/gompirun/ci/reaper"
)

// cluster is test hosts, which share a home directory.
type cluster struct {
	home     string
	programs []string // in it
}

// command is the words of a command on h1.
func (cluster) command(words ...string) []string {
	return append([]string{"ci/cluster", "exec", "h1"}, words...)
}

func (c cluster) up(ctx context.Context, hosts int) error {
	if _, err := foreground(ctx, "ci/cluster", "up", strconv.Itoa(hosts)); err != nil {
		return err
	}
	for _, p := range c.programs {
		b, err := os.ReadFile(p)
		if err == nil {
			err = os.WriteFile(filepath.Join(c.home, filepath.Base(p)), b, 0o755)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// down ends all hosts and whatever runs on them.
func (cluster) down() error {
	_, err := foreground(context.Background(), "ci/cluster", "down")
	reaper.EndAll()
	return err
}

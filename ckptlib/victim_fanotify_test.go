package ckptlib_test

import (
	"strings"
	"testing"
)

func TestFanotifyWatchesADirectoryInThePod(t *testing.T) {
	asUser(t)
	for name, dir := range map[string]string{"disk": t.TempDir(), "memory": "/dev/shm"} {
		t.Run(name, func(t *testing.T) {
			j := victim(t, "fanotify", dir)
			j.want("watch", "create:new modify:new ")
			before := j.unharmed()
			j.want("watch", "create:new modify:new ")
			j.reborn(before)
			j.want("watch", "create:new modify:new ")
			j.want("make", "made")
			j.checkpoint()
			if w := strings.Join(j.result.Warnings, "\n"); !strings.Contains(w, "FAN_Q_OVERFLOW") {
				t.Errorf("the checkpoint warns %q, want a warning about events", w)
			}
			j.want("events", "create:unread ")
			j.restart()
			j.want("events", "lost ")
			j.want("watch", "create:new modify:new ")
		})
	}
}

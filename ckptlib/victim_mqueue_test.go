package ckptlib_test

import (
	"strings"
	"testing"
)

func TestPOSIXMessageQueues(t *testing.T) {
	asUser(t)
	j := victim(t, "mqueue")
	same := j.same("state")
	before := j.unharmed()
	same("after the checkpoint")
	j.checkpoint()
	messages := j.ask("take")
	if want := "30000:5:hig 30000:5:hig 7:3:mid 0:4:low 0:0: 0:3000:BBB | 1:1:x | 3:5:alo | "; messages != want {
		t.Errorf("after two checkpoints the queues hold %q, want %q", messages, want)
	}
	j.want("wake", "ES firstlast")
	for range 2 {
		j.reborn(before)
		same("after the restart")
		j.checkpoint()
		j.want("take", messages)
		j.want("wake", "ES firstlast")
	}
}

func TestANotificationOfAMessageQueueIsRefusedUnharmed(t *testing.T) {
	asUser(t)
	j := victim(t, "mqueue", "notify")
	same := j.same("state")
	for range 2 {
		if got := j.refused(); !strings.Contains(got, "/empty") || !strings.Contains(got, "mq_notify") {
			t.Errorf("the refusal is %q", got)
		}
	}
	same("after the refused checkpoint")
	j.want("denotify", "ok")
	j.checkpoint()
	j.restart()
	same("after the restart")
}

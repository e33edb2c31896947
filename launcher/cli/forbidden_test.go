package cli_test

import (
	"os/exec"
	"strings"
	"testing"
)

// A user namespace has limits of its own for those below it, so one in which none
// are allowed is as a host where the administrator has forbidden them.
func TestHostThatForbidsUserNamespacesIsToldByTheSettingsName(t *testing.T) {
	for _, tt := range []struct {
		args   []string
		status int
	}{
		{[]string{"true"}, 125},
		{[]string{"doctor"}, 1},
	} {
		cmd := exec.Command("unshare", append([]string{
			"--user", "--map-root-user", "sh", "-c",
			`echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"`, "sh", binary,
		}, tt.args...)...)
		cmd.Dir = t.TempDir()
		r := finish(t, cmd)
		if said := r.out + r.stderr; r.status != tt.status || !strings.Contains(said, "user namespace") || !strings.Contains(said, "raise user.max_user_namespaces") {
			t.Errorf("gompirun %s = %d and said %q, want %d and the setting", tt.args[0], r.status, said, tt.status)
		}
	}
}

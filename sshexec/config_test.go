package sshexec

import (
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestWithoutOpenSSHTheDefaultsHold(t *testing.T) {
	var log strings.Builder
	opt := &Options{SSH: "/nonexistent/ssh", Log: slog.New(slog.NewTextHandler(&log, nil))}
	c, err := readConfig(t.Context(), Target{Host: "N1.Example", User: "u"}, opt.orDefault())
	if err != nil {
		t.Fatal(err)
	}
	if c.hostname != "n1.example" || c.user != "u" || c.port != 22 || len(c.identityFiles) != 3 || len(c.userKnownHosts) != 2 {
		t.Errorf("config = %+v, want OpenSSH's defaults", c)
	}
	for _, f := range append(c.identityFiles, c.userKnownHosts...) {
		if !filepath.IsAbs(f) || strings.Contains(f, "~") {
			t.Errorf("%q is not an absolute path", f)
		}
	}
	if !regexp.MustCompile("no OpenSSH client.*host=N1.Example").MatchString(log.String()) {
		t.Errorf("log %q does not note that ssh is missing", log.String())
	}
}

func TestConfigIsWhatSSHSays(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Fatalf("%v: ci/setup installs it", err)
	}
	w := newWorld(t)
	w.config.WriteString(`Match host n* exec "true"
	HostName 10.0.0.%h
	HostKeyAlias Rack
	ConnectTimeout 1m
	CertificateFile "/c d"
	IdentityFile "/k %r %p"
	IdentityAgent $SOME_AGENT
	IdentitiesOnly yes
	AddressFamily inet
	ProxyJump x,y:7
`)
	t.Setenv("SOME_AGENT", "/run/agent")
	w.defaults = ""
	w.knownHosts = `"/a b" /c`
	c, err := readConfig(t.Context(), Target{Host: "n7", User: "me", Port: 99}, w.options().orDefault())
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(c.hostname, c.user, c.port, c.hostKeyAlias, c.connectTimeout, c.certificateFiles, c.identityFiles,
		c.identityAgent, c.identitiesOnly, c.network, c.proxyJump, strings.Join(c.userKnownHosts, "|"), c.globalKnownHosts)
	want := "10.0.0.n7me 99 rack 1m0s [/c d] [/k me 99] /run/agent true tcp4 x,y:7 /a b|/c [/dev/null]"
	if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("config =\n%s, want\n%s", got, want)
	}
	for _, bad := range []string{"", "-oProxyCommand=touch /tmp/x", "a b", "a\nb"} {
		if _, err := readConfig(t.Context(), Target{Host: bad}, w.options().orDefault()); err == nil {
			t.Errorf("readConfig(%q) succeeded, want an error", bad)
		}
	}
}

package kobj

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

func TestAConnectionToOutsideIsReset(t *testing.T) {
	for _, family := range []int{v4, v6} {
		t.Run(fmt.Sprint("family ", family), func(t *testing.T) {
			v := startVictim(t, inetVictim)
			v.talking(family)
			v.do("send 11 unread", "nonblock 12")
			p, img := captureInetOf(t, v, 12) // 11 is not of the pod
			r, s := p.checkTwice(img)
			for _, r := range []*restored{r, s} {
				if got, err := unix.GetsockoptInt(r.fd(12), unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || got != family {
					t.Errorf("family = %d, %v, want %d", got, err, family)
				}
				wantTCP(t, r.fd(12), "unread", unix.ECONNRESET)
				if err := unix.Sendto(r.fd(12), []byte("x"), unix.MSG_NOSIGNAL, nil); err != unix.EPIPE {
					t.Errorf("send = %v, want EPIPE", err)
				}
				if len(r.warned) != 1 || !strings.Contains(r.warned[0], img.Files[0].Inet.Remote) {
					t.Errorf("warnings = %q, want one that names %s", r.warned, img.Files[0].Inet.Remote)
				}
			}
		})
	}
}

func TestALargeQueueFromOutsideIsKept(t *testing.T) {
	p := newTestPod(t)
	want := bytes.Repeat([]byte("0123456789abcdef"), 3<<16) // 3 MiB
	b, err := p.Blob(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{inetReset, inetConnected} {
		r := p.newMaker(&image.Pod{Files: []image.File{{ID: 1, Flags: unix.O_RDWR, Inet: &image.Inet{
			Family: v4, Type: stream, State: state, PeerClosed: true, Queue: &b,
		}}}})
		r.run()
		wantErr := error(nil)
		if state == inetReset {
			wantErr = unix.ECONNRESET
		}
		wantTCP(t, r.fds[1], string(want), wantErr)
	}
}

func TestAConnectionWhosePeerHasClosedEndsQuietly(t *testing.T) {
	tests := []struct {
		name string
		do   []string
		send error
		want string
		err  error
	}{
		{"peer closed", []string{"send 11 last", "close 11"}, nil, "last", nil},
		{"both shut down", []string{"send 11 last", "shutdown 11 1", "shutdown 12 1", "close 11"}, unix.EPIPE, "last", nil},
		{"reset by its peer", []string{"linger 11 0", "close 11"}, unix.EPIPE, "", unix.ECONNRESET},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := startVictim(t, inetVictim)
			v.talking(v4)
			v.do(tt.do...)
			p, img := captureInetOf(t, v, 12)
			r := p.restore(img)
			wantTCP(t, r.fd(12), tt.want, tt.err)
			if err := unix.Sendto(r.fd(12), []byte("x"), unix.MSG_NOSIGNAL, nil); !errors.Is(err, tt.send) {
				t.Errorf("send = %v, want %v", err, tt.send)
			}
			if len(r.warned) > 0 {
				t.Errorf("warnings = %q, want none", r.warned)
			}
			if got := v.ask("recv 12"); tt.err != nil && got != tt.err.Error() || tt.err == nil && got != tt.want {
				t.Errorf("after the capture the victim's read = %q, want %q, %v", got, tt.want, tt.err)
			}
		})
	}
}

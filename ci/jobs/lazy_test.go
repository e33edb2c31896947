package jobs

import (
	"regexp"
	"strings"
	"testing"
)

// connections lists a host's TCP connections with another test host, without
// those of SSH.
func (s *site) connections(host int) []string {
	s.t.Helper()
	out, err := s.RootCommand(host, "ss", "-Htn", "state", "established").Output()
	if err != nil {
		s.t.Fatalf("ss on h%d: %v", host, err)
	}
	var list []string
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 4 || strings.HasSuffix(f[2], ":22") || strings.HasSuffix(f[3], ":22") {
			continue
		}
		if local, peer := addrOf(f[2]), addrOf(f[3]); local != peer && strings.HasPrefix(peer, "10.88.") {
			list = append(list, f[2]+" "+f[3])
		}
	}
	return list
}

// onlyBetween checks that a host has connections, and with another one only.
func (s *site) onlyBetween(host, other int) {
	s.t.Helper()
	list := s.connections(host)
	if len(list) == 0 {
		s.t.Errorf("h%d has no connection with h%d", host, other)
	}
	for _, c := range list {
		local, peer, _ := strings.Cut(c, " ")
		if addrOf(local) != s.Addr(host) || addrOf(peer) != s.Addr(other) {
			s.t.Errorf("h%d has the connection %s, want only those with h%d", host, c, other)
		}
	}
}

// addrOf is the address in what ss prints for an end, [::ffff:10.88.0.1]:22 or
// 10.88.0.1:22.
func addrOf(end string) string {
	at := strings.LastIndexByte(end, ':')
	return strings.TrimPrefix(strings.Trim(end[:at], "[]"), "::ffff:")
}

// listens tells whether a host has a TCP listener on a port.
func (s *site) listens(host int, port string) bool {
	s.t.Helper()
	out, err := s.RootCommand(host, "ss", "-Htln").Output()
	if err != nil {
		s.t.Fatalf("ss on h%d: %v", host, err)
	}
	return regexp.MustCompile(`:` + port + `\s`).Match(out)
}

// meetAll lets every pair that never talked do so, and waits for all of them.
func (s *site) meetAll(r *run) {
	s.t.Helper()
	s.touch("meet")
	for range 8 { // both ranks of 0-2, 0-3, 1-2 and 1-3
		if l := r.wait(`^pair `); !strings.HasSuffix(l, ": 4711") {
			s.t.Fatalf("a rank said %q, want the word 4711", l)
		}
	}
}

func TestFirstMessageAfterARestartFindsItsPeer(t *testing.T) {
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			s := newSite(t, 4)
			pairs := s.compile(family, "pairs")
			r := s.start(1, nil, "-np", "4", "-host", "h1:2,h2:2", "--ckpt-dir", "ck", "--mpi", family, pairs, "meet", "stop")
			for range 4 {
				r.wait(`^rank . waits`)
			}
			if family == "openmpi" {
				// Only orted and mpirun talk so far; and both hosts' ranks have the same ports.
				if c := s.connections(1); len(c) != 1 {
					t.Errorf("before the first message between the hosts h1 has connections %q, want that of the daemon only", c)
				}
				for h := 1; h <= 2; h++ {
					if !s.listens(h, "1024") || !s.listens(h, "1025") {
						t.Errorf("no rank on h%d listens on ports 1024 and 1025: the test does not test collisions", h)
					}
				}
			}
			s.checkpoint(1, "ck")
			s.reboot(1, 2)
			for _, to := range []struct {
				hosts string
				start int
				ends  bool
				want  map[int]int
			}{
				{"h3,h4", 3, false, map[int]int{3: 2, 4: 2}},
				{"h3", 3, false, map[int]int{3: 4}},
				{"h2,h1", 2, true, map[int]int{1: 2, 2: 2}},
			} {
				r := s.start(to.start, nil, "restart", "-host", to.hosts, "ck@1")
				r.said(`checkpoint 1 restarted`)
				s.expectRanks("pairs", to.want)
				s.meetAll(r)
				r.wait(`^round `)
				if to.hosts == "h3,h4" {
					// The ranks were told addresses of h1 and h2, which are up and would refuse.
					s.onlyBetween(3, 4)
				}
				if to.ends {
					s.touch("stop")
					s.finish(r, family)
					break
				}
				for h := range to.want {
					s.reboot(h)
				}
				s.remove("meet")
			}
		})
	}
}

// Connections that were made between two pods on one host, where one of two equal
// ports had to become another, move on as well.
func TestPodsOfOneHostPartAgain(t *testing.T) {
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			s := newSite(t, 4)
			pairs := s.compile(family, "pairs")
			r := s.start(1, nil, "-np", "4", "-host", "h1:2,h2:2", "--ckpt-dir", "ck", "--mpi", family, pairs, "meet", "stop")
			for range 4 {
				r.wait(`^rank . waits`)
			}
			s.checkpoint(1, "ck")
			s.reboot(1, 2)
			r = s.start(1, nil, "restart", "-host", "h1", "ck")
			r.said(`checkpoint 1 restarted`)
			s.meetAll(r)
			r.wait(`^round `)
			s.checkpoint(1, "ck")
			s.reboot(1)
			r = s.start(2, nil, "restart", "-host", "h2,h3", "ck")
			r.wait(`^round `)
			s.expectRanks("pairs", map[int]int{1: 0, 2: 2, 3: 2})
			s.touch("stop")
			s.finish(r, family)
		})
	}
}

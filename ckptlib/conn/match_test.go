package conn

import (
	stdcmp "cmp"
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func end(pod int, inode uint64, net, local, remote string) End {
	e := End{Pod: pod, Inode: inode, NetID: net, Local: netip.MustParseAddrPort(local), State: StateEstablished, Family: 2}
	if remote != "" {
		e.Remote = netip.MustParseAddrPort(remote)
	} else {
		e.State = StateListen
	}
	return e
}

func in(e End, state string) End { e.State = state; return e }

func TestEndsWithMirroredAddressesArePaired(t *testing.T) {
	type pair struct {
		name             string
		dialer, acceptor uint64
	}
	tests := []struct {
		name      string
		ends      []End
		pairs     []pair
		unmatched []uint64
		half      []uint64
	}{
		{name: "nothing"},
		{
			name: "between hosts",
			ends: []End{
				end(0, 1, "h1", "10.0.0.1:4000", "10.0.0.2:5000"),
				end(1, 2, "h2", "10.0.0.2:5000", "10.0.0.1:4000"),
			},
			pairs: []pair{{"10.0.0.1:4000-10.0.0.2:5000", 1, 2}},
		},
		{
			name: "two pods of one host",
			ends: []End{
				end(0, 1, "h1", "10.0.0.1:4000", "10.0.0.1:5000"),
				end(1, 2, "h1", "10.0.0.1:5000", "10.0.0.1:4000"),
			},
			pairs: []pair{{"10.0.0.1:4000-10.0.0.1:5000@h1", 1, 2}},
		},
		{
			name: "mapped IPv4 is IPv4",
			ends: []End{
				end(0, 1, "h1", "[::ffff:10.0.0.1]:4000", "[::ffff:10.0.0.2]:5000"),
				end(1, 2, "h2", "10.0.0.2:5000", "10.0.0.1:4000"),
			},
			pairs: []pair{{"10.0.0.1:4000-10.0.0.2:5000", 1, 2}},
		},
		{
			name: "the same loopback addresses on two hosts",
			ends: []End{
				end(0, 1, "h1", "127.0.0.1:4000", "127.0.0.1:5000"),
				end(1, 2, "h2", "127.0.0.1:5000", "127.0.0.1:4000"),
				end(1, 3, "h2", "127.0.0.1:4000", "127.0.0.1:5000"),
				end(0, 4, "h1", "127.0.0.1:5000", "127.0.0.1:4000"),
			},
			pairs: []pair{
				{"127.0.0.1:4000-127.0.0.1:5000@h1", 1, 4},
				{"127.0.0.1:4000-127.0.0.1:5000@h2", 3, 2},
			},
		},
		{
			name: "IPv6 loopback never reaches another host",
			ends: []End{
				end(0, 1, "h1", "[::1]:4000", "[::1]:5000"),
				end(1, 2, "h2", "[::1]:5000", "[::1]:4000"),
			},
			unmatched: []uint64{1, 2},
		},
		{
			name: "the same container bridge on two hosts",
			ends: []End{
				end(0, 1, "h1", "172.17.0.1:4000", "172.17.0.1:5000"),
				end(0, 2, "h1", "172.17.0.1:5000", "172.17.0.1:4000"),
				end(1, 3, "h2", "172.17.0.1:4000", "172.17.0.1:5000"),
				end(1, 4, "h2", "172.17.0.1:5000", "172.17.0.1:4000"),
			},
			pairs: []pair{
				{"172.17.0.1:4000-172.17.0.1:5000@h1", 1, 2},
				{"172.17.0.1:4000-172.17.0.1:5000@h2", 3, 4},
			},
		},
		{
			name: "an end with two possible partners has none",
			ends: []End{
				end(0, 1, "h1", "10.0.0.1:4000", "172.17.0.1:5000"),
				end(1, 2, "h2", "172.17.0.1:5000", "10.0.0.1:4000"),
				end(2, 3, "h3", "172.17.0.1:5000", "10.0.0.1:4000"),
			},
			unmatched: []uint64{1, 2, 3},
		},
		{
			name: "reported by both holders",
			ends: []End{
				end(0, 1, "h1", "10.0.0.1:4000", "10.0.0.2:5000"),
				end(0, 1, "h1", "10.0.0.1:4000", "10.0.0.2:5000"),
				end(1, 2, "h2", "10.0.0.2:5000", "10.0.0.1:4000"),
			},
			pairs: []pair{{"10.0.0.1:4000-10.0.0.2:5000", 1, 2}},
		},
		{
			name: "a socket connected to itself",
			ends: []End{
				end(0, 1, "h1", "127.0.0.1:4000", "127.0.0.1:4000"),
			},
			unmatched: []uint64{1},
		},
		{
			name: "the other program has ended",
			ends: []End{
				end(0, 1, "h1", "10.0.0.1:4000", "10.0.0.2:5000"),
				in(end(1, 0, "h2", "10.0.0.2:5000", "10.0.0.1:4000"), StateFinWait1),
				end(0, 2, "h1", "127.0.0.1:4000", "127.0.0.1:5000"),
				in(end(1, 0, "h2", "127.0.0.1:5000", "127.0.0.1:4000"), StateFinWait1),
			},
			unmatched: []uint64{1, 2},
			half:      []uint64{1},
		},
		{
			name: "outside and not yet accepted",
			ends: []End{
				end(0, 1, "h1", "10.0.0.1:4000", "192.168.0.9:22"),
				end(0, 2, "h1", "10.0.0.1:4001", "10.0.0.2:1024"),
				in(end(0, 3, "h1", "10.0.0.1:4002", "192.168.0.9:80"), StateSynSent),
				end(0, 4, "h1", "127.0.0.1:4003", "127.0.0.1:1025"),
				in(end(0, 6, "h1", "10.0.0.1:4004", "10.0.0.2:1024"), StateCloseWait),
				end(1, 5, "h2", "0.0.0.0:1024", ""),
				end(1, 7, "h2", "127.0.0.1:1025", ""),
			},
			unmatched: []uint64{1, 2, 3, 6, 4},
			half:      []uint64{2, 3},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pairs, unmatched := matchSorted(tt.ends)
			var got []pair
			for _, p := range pairs {
				got = append(got, pair{p.Name, p.Dialer.Inode, p.Acceptor.Inode})
			}
			if d := cmp.Diff(tt.pairs, got, cmp.AllowUnexported(pair{})); d != "" {
				t.Errorf("pairs of Match (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tt.unmatched, inodes(unmatched)); d != "" {
				t.Errorf("unmatched of Match (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tt.half, inodes(HalfOpen(tt.ends, unmatched))); d != "" {
				t.Errorf("HalfOpen (-want +got):\n%s", d)
			}
		})
	}
}

// matchSorted is Match with the pairs by their names.
func matchSorted(ends []End) (pairs []Pair, unmatched []End) {
	pairs, unmatched = Match(ends)
	slices.SortFunc(pairs, func(a, b Pair) int { return stdcmp.Compare(a.Name, b.Name) })
	return pairs, unmatched
}

func inodes(ends []End) (ids []uint64) {
	for _, e := range ends {
		ids = append(ids, e.Inode)
	}
	return ids
}

// FuzzMatch makes ends in a small world, where many fit together, and checks what
// must hold of every result.
func FuzzMatch(f *testing.F) {
	f.Add(uint64(1), uint8(4))
	f.Add(uint64(7), uint8(40))
	f.Add(uint64(42), uint8(200))
	addrs := []string{"127.0.0.1", "::1", "10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2", "172.17.0.1", "2001:db8::1"}
	nets := []string{"h1", "h2", "h3"}
	f.Fuzz(func(t *testing.T, seed uint64, n uint8) {
		r := rand.New(rand.NewPCG(seed, uint64(n)))
		addr := func() netip.AddrPort {
			return netip.AddrPortFrom(netip.MustParseAddr(addrs[r.IntN(len(addrs))]), uint16(1+r.IntN(3)))
		}
		var ends []End
		for i := range n {
			ends = append(ends, End{
				Pod: r.IntN(3), Inode: uint64(i) + 1, NetID: nets[r.IntN(len(nets))],
				Local: addr(), Remote: addr(), State: StateEstablished,
			})
		}
		pairs, unmatched := matchSorted(ends)
		if got := 2*len(pairs) + len(unmatched); got != len(ends) {
			t.Fatalf("Match returned %d ends of %d", got, len(ends))
		}
		names := map[string]bool{}
		for _, p := range pairs {
			a, b := p.Dialer, p.Acceptor
			if a.Local != b.Remote || a.Remote != b.Local {
				t.Errorf("pair %s: %v and %v do not mirror each other", p.Name, a, b)
			}
			if a.NetID != b.NetID && (a.Local.Addr().IsLoopback() || a.Remote.Addr().IsLoopback()) {
				t.Errorf("pair %s: loopback between %s and %s", p.Name, a.NetID, b.NetID)
			}
			if a.Inode == b.Inode || names[p.Name] {
				t.Errorf("pair %s: %v and %v are one, or the name is not unique", p.Name, a, b)
			}
			names[p.Name] = true
		}
		r.Shuffle(len(ends), func(i, j int) { ends[i], ends[j] = ends[j], ends[i] })
		again, rest := matchSorted(ends)
		if !slices.Equal(pairs, again) || !cmp.Equal(unmatched, rest, cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateEmpty()) {
			t.Errorf("Match depends on the order of the ends:\n%v %v\n%v %v", pairs, unmatched, again, rest)
		}
	})
}

func TestAnIDIsAJSONKey(t *testing.T) {
	in := map[ID]int{{"a-b@c", true}: 1, {"a-b@c", false}: 2}
	b, err := json.Marshal(in)
	if want := `{"a-b@c#accept":2,"a-b@c#dial":1}`; err != nil || string(b) != want {
		t.Fatalf("Marshal = %s, %v, want %s", b, err, want)
	}
	var out map[ID]int
	if err := json.Unmarshal(b, &out); err != nil || !cmp.Equal(in, out) {
		t.Errorf("Unmarshal = %v, %v, want %v", out, err, in)
	}
	if err := json.Unmarshal([]byte(`{"a-b":1}`), &out); err == nil {
		t.Error("Unmarshal took a key that names no end")
	}
}

package conn

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func end(inode uint64, net, local, remote string) End {
	e := End{Inode: inode, NetID: net, Local: netip.MustParseAddrPort(local), State: StateEstablished}
	if remote != "" {
		e.Remote = netip.MustParseAddrPort(remote)
	} else {
		e.State = StateListen
	}
	return e
}

func in(e End, state uint8) End { e.State = state; return e }

func TestEndsWithMirroredAddressesArePaired(t *testing.T) {
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
				end(1, "h1", "10.0.0.1:4000", "10.0.0.2:5000"),
				end(2, "h2", "10.0.0.2:5000", "10.0.0.1:4000"),
			},
			pairs: []pair{{"10.0.0.1:4000-10.0.0.2:5000", 1, 2}},
		},
		{
			name: "two pods of one host",
			ends: []End{
				end(1, "h1", "10.0.0.1:4000", "10.0.0.1:5000"),
				end(2, "h1", "10.0.0.1:5000", "10.0.0.1:4000"),
			},
			pairs: []pair{{"10.0.0.1:4000-10.0.0.1:5000@h1", 1, 2}},
		},
		{
			name: "mapped IPv4 is IPv4",
			ends: []End{
				end(1, "h1", "[::ffff:10.0.0.1]:4000", "[::ffff:10.0.0.2]:5000"),
				end(2, "h2", "10.0.0.2:5000", "10.0.0.1:4000"),
			},
			pairs: []pair{{"10.0.0.1:4000-10.0.0.2:5000", 1, 2}},
		},
		{
			name: "the same loopback addresses on two hosts",
			ends: []End{
				end(1, "h1", "127.0.0.1:4000", "127.0.0.1:5000"),
				end(2, "h2", "127.0.0.1:5000", "127.0.0.1:4000"),
				end(3, "h2", "127.0.0.1:4000", "127.0.0.1:5000"),
				end(4, "h1", "127.0.0.1:5000", "127.0.0.1:4000"),
			},
			pairs: []pair{
				{"127.0.0.1:4000-127.0.0.1:5000@h1", 1, 4},
				{"127.0.0.1:4000-127.0.0.1:5000@h2", 3, 2},
			},
		},
		{
			name: "IPv6 loopback never reaches another host",
			ends: []End{
				end(1, "h1", "[::1]:4000", "[::1]:5000"),
				end(2, "h2", "[::1]:5000", "[::1]:4000"),
			},
			unmatched: []uint64{1, 2},
		},
		{
			name: "the same container bridge on two hosts",
			ends: []End{
				end(1, "h1", "172.17.0.1:4000", "172.17.0.1:5000"),
				end(2, "h1", "172.17.0.1:5000", "172.17.0.1:4000"),
				end(3, "h2", "172.17.0.1:4000", "172.17.0.1:5000"),
				end(4, "h2", "172.17.0.1:5000", "172.17.0.1:4000"),
			},
			pairs: []pair{
				{"172.17.0.1:4000-172.17.0.1:5000@h1", 1, 2},
				{"172.17.0.1:4000-172.17.0.1:5000@h2", 3, 4},
			},
		},
		{
			name: "an end with two possible partners has none",
			ends: []End{
				end(1, "h1", "10.0.0.1:4000", "172.17.0.1:5000"),
				end(2, "h2", "172.17.0.1:5000", "10.0.0.1:4000"),
				end(3, "h3", "172.17.0.1:5000", "10.0.0.1:4000"),
			},
			unmatched: []uint64{1, 2, 3},
		},
		{
			name: "sockets connected with themselves",
			ends: []End{
				end(1, "h1", "127.0.0.1:4000", "127.0.0.1:4000"),
				end(2, "h1", "172.17.0.1:4000", "172.17.0.1:4000"),
				end(3, "h2", "172.17.0.1:4000", "172.17.0.1:4000"),
			},
			unmatched: []uint64{1, 2, 3},
		},
		{
			name: "the other program has ended",
			ends: []End{
				end(1, "h1", "10.0.0.1:4000", "10.0.0.2:5000"),
				in(end(0, "h2", "10.0.0.2:5000", "10.0.0.1:4000"), StateFinWait1),
				end(2, "h1", "127.0.0.1:4000", "127.0.0.1:5000"),
				in(end(0, "h2", "127.0.0.1:5000", "127.0.0.1:4000"), StateFinWait1),
			},
			unmatched: []uint64{1, 2},
			half:      []uint64{1},
		},
		{
			name: "outside and not yet accepted",
			ends: []End{
				end(1, "h1", "10.0.0.1:4000", "192.168.0.9:22"),
				end(2, "h1", "10.0.0.1:4001", "10.0.0.2:1024"),
				in(end(3, "h1", "10.0.0.1:4002", "192.168.0.9:80"), StateSynSent),
				end(4, "h1", "127.0.0.1:4003", "127.0.0.1:1025"),
				in(end(6, "h1", "10.0.0.1:4004", "10.0.0.2:1024"), StateCloseWait),
				end(5, "h2", "0.0.0.0:1024", ""),
				end(7, "h2", "127.0.0.1:1025", ""),
			},
			unmatched: []uint64{1, 2, 3, 4, 6},
			half:      []uint64{2, 3},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			partners := Match([]Ends{tt.ends})
			pairs, unmatched := sorted(tt.ends, partners[0])
			if d := cmp.Diff(tt.pairs, pairs, cmp.AllowUnexported(pair{})); d != "" {
				t.Errorf("pairs of Match (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tt.unmatched, inodes(unmatched)); d != "" {
				t.Errorf("unmatched of Match (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tt.half, inodes(HalfOpen([]Ends{tt.ends}, partners))); d != "" {
				t.Errorf("HalfOpen (-want +got):\n%s", d)
			}
		})
	}
}

// pair is a connection by the inodes of its ends.
type pair struct {
	name             string
	dialer, acceptor uint64
}

// sorted is what Match has found: connections by their names, and the ends that
// programs have and that are of none.
func sorted(ends []End, partners []Partner) (pairs []pair, unmatched []End) {
	byName := map[string]*pair{}
	for i, e := range ends {
		switch {
		case partners[i] != None:
			id := e.ID(partners[i])
			p := byName[id.Name]
			if p == nil {
				p = &pair{name: id.Name}
				byName[id.Name] = p
			}
			if id.Dialer {
				p.dialer += e.Inode
			} else {
				p.acceptor += e.Inode
			}
		case e.Inode != 0 && e.State != StateListen:
			unmatched = append(unmatched, e)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		pairs = append(pairs, *byName[name])
	}
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
		for i := range n % 64 {
			ends = append(ends, End{
				Inode: 1 << i, NetID: nets[r.IntN(len(nets))],
				Local: addr(), Remote: addr(), State: StateEstablished,
			})
		}
		pairs, unmatched := sorted(ends, Match([]Ends{ends})[0])
		if got := 2*len(pairs) + len(unmatched); got != len(ends) {
			t.Fatalf("Match returned %d ends of %d", got, len(ends))
		}
		for _, p := range pairs {
			a, b := ends[bits.TrailingZeros64(p.dialer)], ends[bits.TrailingZeros64(p.acceptor)]
			if a.Inode != p.dialer || b.Inode != p.acceptor {
				t.Fatalf("pair %s has the dialers %b and the acceptors %b, want one of each", p.name, p.dialer, p.acceptor)
			}
			if plain(a.Local) != plain(b.Remote) || plain(a.Remote) != plain(b.Local) {
				t.Errorf("pair %s: %v and %v do not mirror each other", p.name, a, b)
			}
			if a.NetID != b.NetID && (a.Local.Addr().IsLoopback() || a.Remote.Addr().IsLoopback()) {
				t.Errorf("pair %s: loopback between %s and %s", p.name, a.NetID, b.NetID)
			}
		}
		r.Shuffle(len(ends), func(i, j int) { ends[i], ends[j] = ends[j], ends[i] })
		again, rest := sorted(ends, Match([]Ends{ends})[0])
		if got, want := inodes(rest), inodes(unmatched); !slices.Equal(pairs, again) || !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
			t.Errorf("Match depends on the order of the ends:\n%v %v\n%v %v", pairs, want, again, got)
		}
	})
}

// FuzzEnds reads what is none, and what is comes back as it was.
func FuzzEnds(f *testing.F) {
	b, err := Ends{
		end(1, "h1", "10.0.0.1:4000", "[2001:db8::1]:5000"),
		end(1<<40, "h1", "127.0.0.1:1025", ""),
	}.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{})
	f.Add([]byte{0})
	f.Add([]byte{200, 'x'})
	f.Add(append([]byte{255}, make([]byte, 255)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var ends, back Ends
		if ends.UnmarshalBinary(b) != nil {
			return
		}
		out, err := ends.MarshalBinary()
		if err != nil || len(ends) > 0 && !bytes.Equal(out, b) {
			t.Fatalf("%x was read as %v and is written as %x, %v", b, ends, out, err)
		}
		if err := back.UnmarshalBinary(out); err != nil || !slices.Equal(ends, back) {
			t.Errorf("%v comes back as %v, %v", ends, back, err)
		}
	})
}

func TestEndsComeOverTheWireAsTheyAre(t *testing.T) {
	want := Ends{
		end(1, "h1", "10.0.0.1:4000", "10.0.0.2:5000"),
		in(end(1<<40, "h1", "[2001:db8::1]:4000", "[2001:db8::2]:5000"), StateCloseWait),
	}
	b, err := want.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var got Ends
	if err := got.UnmarshalBinary(b); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v came as %v, %v", want, got, err)
	}
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

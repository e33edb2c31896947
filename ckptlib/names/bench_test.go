package names

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// serveAt accepts and closes connections at an address.
func serveAt(b *testing.B, addr string) (port string) {
	b.Helper()
	l, err := net.Listen("tcp4", addr+":0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// median is the median time of n connects of a victim in µs.
func median(v *victim, n int, addr string) float64 {
	var all []int
	for _, w := range strings.Fields(v.must("connects", n, addr)) {
		ns, _ := strconv.Atoi(w)
		all = append(all, ns)
	}
	slices.Sort(all)
	return float64(all[len(all)/2]) / 1000
}

// BenchmarkConnect measures what translation adds to a blocking connect between
// two pods of a host: the added microseconds of the median.
func BenchmarkConnect(b *testing.B) {
	const n = 1000
	w, ta, _ := twoPods()
	port := serveAt(b, "10.89.0.12")
	plain, pod := native(b), inPod(b, w, ta)
	for b.Loop() {
		without := median(plain, n, "10.89.0.12:"+port)
		with := median(pod, n, "10.89.0.2:"+port)
		b.ReportMetric(without, "native-µs/connect")
		b.ReportMetric(with-without, "added-µs/connect")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkOutside measures a connect that is not translated.
func BenchmarkOutside(b *testing.B) {
	const n = 1000
	w, ta, _ := twoPods()
	port := serveAt(b, "10.90.0.11")
	plain, pod := native(b), inPod(b, w, ta)
	for b.Loop() {
		without := median(plain, n, "10.90.0.11:"+port)
		with := median(pod, n, "10.90.0.11:"+port)
		b.ReportMetric(without, "native-µs/connect")
		b.ReportMetric(with-without, "added-µs/connect")
	}
	b.ReportMetric(0, "ns/op")
}

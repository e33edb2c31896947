package kobj

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

var victimStdio = victimProgram("stdio", func(v *victimSide) {
	v.say("ready")
	v.say(v.hear())
	v.hear()
})

func TestStandardStreamsLeadToTheAgentAgain(t *testing.T) {
	v := startVictim(t, victimStdio)
	v.stop()
	v.send("typed ahead")
	p := newTestPod(t)
	p.add(v.pid, 0, 1)
	for role, id := range []image.FileID{1, 2} {
		p.stdio[p.sources[id].Stat.Ino] = stdioEnd{"main", role}
	}
	img := p.capture()
	v.cont()
	v.expect("typed ahead")

	var in, out [2]int
	for _, ends := range []*[2]int{&in, &out} {
		if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(ends[0])
		defer unix.Close(ends[1])
	}
	r := p.newMaker(img)
	r.maker.Stdio = func(stream string, role int) (int, error) {
		if stream != "main" {
			t.Errorf("Stdio is asked for stream %q, want \"main\"", stream)
		}
		return []int{in[0], out[1]}[role], nil
	}
	r.run()
	if _, err := unix.Write(in[1], []byte("and on\n")); err != nil {
		t.Fatal(err)
	}
	if all, _ := readAll(r.fd(0)); string(all) != "typed ahead\nand on\n" {
		t.Errorf("the restored standard input gives %q, want what was typed before and after", all)
	}
	if _, err := unix.Write(r.fd(1), []byte("output")); err != nil {
		t.Fatal(err)
	}
	if all, _ := readAll(out[0]); string(all) != "output" {
		t.Errorf("the agent reads %q from the restored standard output, want \"output\"", all)
	}
}

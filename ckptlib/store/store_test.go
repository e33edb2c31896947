package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestJobComesBackFromAStoreOpenedAgain(t *testing.T) {
	s := newStore(t)
	if got, err := s.ReadJob(); err != nil || string(got) != "null" {
		t.Errorf("ReadJob() of a new store = %s, %v, want null", got, err)
	}
	const job = `{"program":"./a.out <x> & \"y\"","sum":"not ours"}`
	if err := s.WriteJob([]byte(job)); err != nil {
		t.Fatal(err)
	}
	again, err := Open(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.ReadJob(); err != nil || string(got) != job {
		t.Errorf("ReadJob() = %s, %v, want %s", got, err, job)
	}
	if err := s.WriteJob([]byte("{")); err == nil {
		t.Error("WriteJob takes what is not JSON")
	}
}

func TestCreateRefusesWhatItMustNotTouch(t *testing.T) {
	dir := t.TempDir()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(filepath.Join(dir, "other"), 0o755))
	must(os.WriteFile(filepath.Join(dir, "other", "thesis.tex"), nil, 0o644))
	must(os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	must(os.MkdirAll(filepath.Join(dir, "headless", "gen", "000001"), 0o755))
	_, err := Create(filepath.Join(dir, "store"))
	must(err)
	for name, want := range map[string]string{
		"other":        "thesis.tex",
		"file":         "not a directory",
		"headless":     "no job.json",
		"store":        ErrExists.Error(),
		"absent/store": "mkdir -p",
	} {
		_, err := Create(filepath.Join(dir, name))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--ckpt-dir") {
			t.Errorf("Create(%s) = %v, want an error with %q and a remedy", name, err, want)
		}
	}
}

func TestCreateTakesAnEmptyDirectoryAndGoesOnAfterItself(t *testing.T) {
	dir := t.TempDir()
	for _, left := range []string{"", "gen", "packs", "job.json" + tempMark + "123"} {
		d := filepath.Join(dir, "d"+left)
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if left != "" {
			if err := os.Mkdir(filepath.Join(d, left), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Create(d); err != nil {
			t.Errorf("Create with %q in it: %v", left, err)
		}
		if st, err := os.Stat(d); err != nil || st.Mode().Perm() != dirMode {
			t.Errorf("mode after Create = %v, %v, want %v", st.Mode(), err, fs.FileMode(dirMode))
		}
	}
}

func TestOfManyCreatesAtOnceOneSucceeds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ckpt")
	errs := make(chan error)
	for range 8 {
		go func() {
			_, err := Create(dir)
			errs <- err
		}()
	}
	won := 0
	for range 8 {
		switch err := <-errs; {
		case err == nil:
			won++
		case !errors.Is(err, ErrExists):
			t.Errorf("Create() = %v, want %v", err, ErrExists)
		}
	}
	if won != 1 {
		t.Errorf("%d of 8 made the store, want 1", won)
	}
}

func TestOpenRefusesWhatIsNoStore(t *testing.T) {
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "absent")} {
		if _, err := Open(dir); !errors.Is(err, ErrNoStore) {
			t.Errorf("Open(%s) = %v, want %v", dir, err, ErrNoStore)
		}
	}
}

func TestUnknownFormatsAreRefusedByName(t *testing.T) {
	s := newStore(t)
	g := commitPods(t, s, nil, WriterOptions{}, pod{1: randomPages(1, 2)})
	var fe *FormatError
	check := func(file string, err error) {
		t.Helper()
		if !errors.As(err, &fe) || fe.Version != 77 || !strings.HasSuffix(fe.File, file) {
			t.Errorf("%s of format 77: %v, want a FormatError", file, err)
		}
	}
	poke := func(file string, off int64) {
		t.Helper()
		f, err := os.OpenFile(s.path(file), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte{77}, off); err != nil {
			t.Fatal(err)
		}
	}
	pack := g.packs()[0].Name
	poke(pack, g.packs()[0].Size-trailerSize+trailerVersion)
	check(pack, g.Verify(t.Context(), true))

	table := imageName(1, 0, KindPages)
	poke(table, tableVersion)
	data, err := os.ReadFile(s.path(table))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.readTable(FileInfo{Name: table, Size: int64(len(data)), Hash: sumOf(data)})
	check(table, err)

	for file, open := range map[string]func() error{
		"gen/000001/manifest.json": func() error { _, err := s.Load(1); return err },
		"job.json":                 func() error { _, err := Open(s.Dir()); return err },
	} {
		data, err := seal(map[string]any{"format": 77, "later": true})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.path(file), data, fileMode); err != nil {
			t.Fatal(err)
		}
		check(file, open())
	}
}

func TestNamesAreReadAsTheyAreWritten(t *testing.T) {
	for _, n := range []struct{ gen, pod, seq int }{{1, 0, 0}, {999999, 9999, 99}, {1234567, 12345, 100}} {
		gen, pod, seq, ok := parsePack(packName(n.gen, n.pod, n.seq))
		if !ok || gen != n.gen || pod != n.pod || seq != n.seq {
			t.Errorf("parsePack(%s) = %d, %d, %d, %t", packName(n.gen, n.pod, n.seq), gen, pod, seq, ok)
		}
		gen, pod, kind, ok := parseImage(imageName(n.gen, n.pod, KindJSON))
		if !ok || gen != n.gen || pod != n.pod || kind != KindJSON {
			t.Errorf("parseImage(%s) = %d, %d, %s, %t", imageName(n.gen, n.pod, KindJSON), gen, pod, kind, ok)
		}
	}
	for _, name := range []string{
		"", "packs/", "packs/1-1-1.pack", "packs/000001-0001-01", "packs/../../etc/passwd", "packs/000001-0001-1.pack",
		"packs/000001-0001-001.pack", "packs/000000-0001-01.pack", "packs/00000a-0001-01.pack", "packs/+00001-0001-01.pack",
		"packs/000001-0001-01.pack/x", "/packs/000001-0001-01.pack", "gen/000001/pod-0001.", "gen/000001/pod-0001.JSON",
		"gen/000001/pod-1.json", "gen/1/pod-0001.json", "gen/000001/manifest.json", "gen/000001/../000002/pod-0001.json",
	} {
		_, _, _, pack := parsePack(name)
		_, _, _, image := parseImage(name)
		if pack || image {
			t.Errorf("%q passes as the name of a file", name)
		}
	}
}
